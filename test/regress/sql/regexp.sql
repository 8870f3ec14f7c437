-- Greediness: a quantifier's preference, a branch's, and that of the whole; what rounds leave in parentheses.
select regexp_match('abc01234xyz', '(?:(.*?)(\d+)(.*)){1,1}');
select regexp_match('', '(a*)*'), regexp_match('', '(a*)?'), regexp_match('', '(a*)+'), regexp_match('b', '(a|b)?'), regexp_match('aab','(a*)*b'), regexp_match('abab','((a)|(b))*');
select regexp_match('', '(a)*'), regexp_match('b', '(a*)*'), regexp_match('', '(a*){0,2}'), regexp_match('', '(a*?)*'), regexp_match('', '((a*)|b)*');
select regexp_match('abcd', '(a|ab)(c|bcd)(d*)'), regexp_match('xaaay','x(a*?)(a*)y'), regexp_match('foobar','(?:(o+?)(b)){1,1}?'), regexp_match('aaaa','(a{2,3}?)(a*)'), regexp_match('aaaaaa','((a{2}){1,2}?)(a*)');
select regexp_match('abc01234xyz', '(?:(.*?)(\d+)(.*)){1,1}?'), regexp_match('abc01234xyz', '(.*?\d+){1}(.*)'), regexp_match('abc01234xyz', '(.*?\d+){1,1}(.*)'), regexp_match('abc01234xyz', '(?:.*?\d+){1,1}'), regexp_match('abc01234xyz', '(?:.*?\d+)(.*)');
select regexp_match('ababab', '(?:(a)|b)*'), regexp_match('ababab', '(?:(a)|b){2}'), regexp_match('ababab', '(?:(a)|b){1,2}?'), regexp_match('abcabc','(?:(a|ab)(c|bcd)*)*');
select regexp_replace('hello world', '(?:(l+?)(o)){1,1}', '<\1|\2>'), regexp_matches('foobarbequebaz', 'ba.', 'g'), regexp_split_to_array('the quick', '\s*?'), substring('xabcabcy' from '(?:(abc)+?){1,2}');
