-- Greediness: a quantifier's preference, a branch's, and that of the whole; what rounds leave in parentheses.
select regexp_match('abc01234xyz', '(?:(.*?)(\d+)(.*)){1,1}');
select regexp_match('', '(a*)*'), regexp_match('', '(a*)?'), regexp_match('', '(a*)+'), regexp_match('b', '(a|b)?'), regexp_match('aab','(a*)*b'), regexp_match('abab','((a)|(b))*');
select regexp_match('', '(a)*'), regexp_match('b', '(a*)*'), regexp_match('', '(a*){0,2}'), regexp_match('', '(a*?)*'), regexp_match('', '((a*)|b)*');
select regexp_match('abcd', '(a|ab)(c|bcd)(d*)'), regexp_match('xaaay','x(a*?)(a*)y'), regexp_match('foobar','(?:(o+?)(b)){1,1}?'), regexp_match('aaaa','(a{2,3}?)(a*)'), regexp_match('aaaaaa','((a{2}){1,2}?)(a*)');
select regexp_match('abc01234xyz', '(?:(.*?)(\d+)(.*)){1,1}?'), regexp_match('abc01234xyz', '(.*?\d+){1}(.*)'), regexp_match('abc01234xyz', '(.*?\d+){1,1}(.*)'), regexp_match('abc01234xyz', '(?:.*?\d+){1,1}'), regexp_match('abc01234xyz', '(?:.*?\d+)(.*)');
select regexp_match('ababab', '(?:(a)|b)*'), regexp_match('ababab', '(?:(a)|b){2}'), regexp_match('ababab', '(?:(a)|b){1,2}?'), regexp_match('abcabc','(?:(a|ab)(c|bcd)*)*');
select regexp_replace('hello world', '(?:(l+?)(o)){1,1}', '<\1|\2>'), regexp_matches('foobarbequebaz', 'ba.', 'g'), regexp_split_to_array('the quick', '\s*?'), substring('xabcabcy' from '(?:(abc)+?){1,2}');

-- What stands before a parenthesis without being divided itself goes as far as it can as a whole.
select regexp_match('ab','a?(?:ab)?(b*)'), regexp_match('ab','(b*)a?(?:ab)?(b*)'), regexp_match('xab','(x)a?(?:ab)?(b*)'), regexp_match('aab','a?(?:ab)?(?:aa)?(b?)');

-- Back references.
select 'abcabc' ~ '(abc)\1', 'abcabd' ~ '(abc)\1', 'aa bb cd' ~ '(\w)\1 (\w)\2', 'abab' ~ '^(ab|a)\1$', 'aXax' ~* '^(ax)\1$', 'éÉ' ~* '^(é)\1$';
select regexp_matches('aabbccdd', '(\w)\1', 'g');
select regexp_replace('hello  wworld', '(.)\1', '<\1>', 'g'), regexp_replace('the the cat sat sat', '\m(\w+) \1\M', '\1', 'g');
select regexp_match('<b>bold</b><i>x</b>', '<(\w+)>(.*?)</\1>'), regexp_match('<b>bold</b><i>x</b>', '<(\w+)>(.*?)</\1>$');
select regexp_match('aaaaaa', '(a+)\1'), regexp_match('aaaaaa', '(a+?)\1'), regexp_match('aaaaa', '^(a*)\1{1,2}$'), regexp_match('aaaaaaa', '(a+)\1{2,}?'), regexp_match('abab', '((a|b)+)\1'), regexp_match('xyxyz', '(x(y))\1(\2|z)');
select regexp_match('aabb', '(?:(.)\1)*'), regexp_match('aabbc', '((.)\2)+'), regexp_match('aabb', '(?:(.)\1)*?$'), regexp_match('', '()*\1'), regexp_match('ab', '(a)?b\1'), regexp_match('abc', '(x)*\1'), regexp_match('aba', '(^a)b\1');
select regexp_count('abab abab cd', '(\w)(\w)\1\2'), regexp_split_to_array('axxbyyc', '(.)\1'), regexp_instr('abccd', '(.)\1'), substring('one two two' from '(\w+) \1'), 'x=x' similar to '(x)=\1';
select 'a' ~ '\1';
select 'a' ~ '(a\1)';
select 'a' ~ '(a)(?=\1)';
select 'ab' ~ '(a)(b)\3';
select 'aB' ~ '(a)\102';
