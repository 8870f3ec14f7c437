-- A minus sign before a literal of nineteen digits.
select -9223372036854775806, - 9223372036854775807, -9223372036854775808, pg_typeof(-9223372036854775807);
select 1 where -9223372036854775806 < 0;
select generate_series(-9223372036854775806, -9223372036854775804);
-- to_number reads the sign behind the last digit, and as much of the input as the picture has places for.
select to_number('0.00001-', '9.999999S'), to_number('5.01-', 'FM9.999999S'), to_number('5.01-', 'FM9.999999MI');
select to_number('.01-', '99.99S'), to_number(' . 0 1-', ' 9 9 . 9 9 S'), to_number('1 -', '9S'), to_number('-12', 'S99');
select to_number('1,234', 'FM9,999'), to_number('<12>', '99PR'), to_number('12th', '99th'), to_number('12+', '99SG');
select to_number('12.3.4', '99.99'), to_number('12 3', '9 9 9'), to_number('12-', '99MI'), to_number('1-2', '9MI9');
select to_number('+', '9');
select to_number('x', '9');
