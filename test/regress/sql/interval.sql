-- The lowest value of every field.
select interval '-9223372036854775808 microseconds';
select interval '-2147483648 months -2147483648 days -9223372036854775808 us';
select interval '9223372036854775808 microseconds';
