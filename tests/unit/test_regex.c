#include "support.h"

#include <stdio.h>

#include "model/regex.h"
#include "model/regex_set.h"
#include "util/utf8.h"

/* Those that look like other letters. */
#define KELVIN "\xE2\x84\xAA"
#define ANGSTROM "\xE2\x84\xAB"
#define OHM "\xE2\x84\xA6"
#define MICRO "\xC2\xB5"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct fv_arena arena;

static void set_up(void)
{
    fv_arena_init(&arena, NULL, 256);
}

static void tear_down(void)
{
    fv_arena_clear(&arena);
}

static const struct fv_regex *compile(const char *pattern, bool fold)
{
    const struct fv_regex *regex = NULL;

    assert_ok(fv_regex_compile(&arena, pattern, strlen(pattern), fold, &regex, &error));
    return regex;
}

static bool search(const char *pattern, const char *text)
{
    return fv_regex_search(compile(pattern, false), text, strlen(text));
}

struct row {
    const char *pattern, *text;
    bool found;
};

/* clang-format off */
static const struct row rows[] = {
    /* Fixed texts. */
    { "", "", true }, { "", "abc", true },
    { "a", "", false }, { "a", "a", true }, { "a", "A", false }, { "a", "xxay", true },
    { "abc", "xabcy", true }, { "abc", "ababc", true }, { "abc", "abab", false },
    { "abc", "ab", false }, { "aab", "aaab", true }, { "abab", "abacabab", true },
    { "abcabd", "abcabcabd", true }, { "aabaaa", "aabaabaaa", true }, { "aaaa", "aaabaaa", false },
    { "é", "café", true }, { "é", "cafe\xCC\x81", false }, { "é", "\xC3\xA8", false },
    { "日本", "xx日本語", true }, { "日本", "日xx本", false }, { "😀", "a😀b", true },
    { "a b", "a b", true }, { "-_=<>!@#%&~`'\",;:/", "-_=<>!@#%&~`'\",;:/", true },

    /* The ends of the text. */
    { "^abc", "abcd", true }, { "^abc", "xabc", false }, { "abc$", "xabc", true },
    { "abc$", "abcx", false }, { "abc$", "abc\n", false }, { "^abc$", "abc", true },
    { "^abc$", "abcabc", false }, { "^abc$", "ab", false }, { "^abc$", "abd", false },
    { "^$", "", true }, { "^$", "\n", false }, { "^", "x", true }, { "$", "x", true },
    { "$^", "", true }, { "$^", "x", false }, { "x^", "x", false }, { "$x", "x", false },
    { "\\Aabc", "abc", true }, { "\\Aabc", "\nabc", false }, { "abc\\z", "abc", true },
    { "abc\\z", "abc\n", false }, { "\\A\\z", "", true }, { "^^a$$", "a", true },
    { "(^a)", "ba", false }, { "(^a|b)c", "bc", true }, { "(^a|b)c", "xac", false },
    { "a|^b", "xb", false }, { "a|^b", "xa", true }, { "(?:^|,)x(?:,|$)", "a,x,b", true },
    { "(?:^|,)x(?:,|$)", "a,xx,b", false }, { "(?:^|,)x(?:,|$)", "x", true },
    { "^é$", "é", true }, { "é$", "éa", false },

    /* Alternatives. */
    { "a|b", "b", true }, { "a|b", "c", false }, { "foo|bar|baz", "a baz", true },
    { "foo|bar|baz", "fo ba", false }, { "a|", "x", true }, { "|a", "x", true }, { "|", "", true },
    { "^(|a)$", "a", true }, { "^(|a)$", "", true }, { "^(|a)$", "aa", false },
    { "^(a|b|)$", "", true }, { "^(a||b)$", "b", true }, { "^a|b$", "ax", true },
    { "^a|b$", "xb", true }, { "^a|b$", "xax", false }, { "^(?:ab|a)(?:c|bcd)$", "abcd", true },
    { "^(?:a|ab)(?:c|bcd)(?:d*)$", "abcd", true }, { "ab|cd|ef", "acef", true },
    { "(a|(b|(c|d)))e", "de", true }, { "(a|(b|(c|d)))e", "e", false },

    /* Groups of every spelling. */
    { "(a)(b)", "ab", true }, { "(?:ab)+c", "ababc", true }, { "(?:ab)+c", "aac", false },
    { "(?P<year>\\d{4})-(?P<month>\\d\\d)", "on 2024-05", true },
    { "(?<year>\\d{4})-(?<month>\\d\\d)", "on 2024-5", false },
    { "(?P<n>a)(?P<n>b)", "ab", true }, { "(?P<_9é>a)", "a", true }, { "()", "", true },
    { "a()b", "ab", true }, { "(?:)", "x", true }, { "((((a))))", "a", true }, { "(?)a", "a", true },
    { "(?P<a>(?P<b>x)|y)z", "yz", true },

    /* Repetitions. */
    { "^a*$", "", true }, { "^a*$", "aaa", true }, { "^a*$", "aab", false },
    { "^a+$", "", false }, { "^a+$", "aaa", true }, { "^a?$", "", true }, { "^a?$", "a", true },
    { "^a?$", "aa", false }, { "ab*c", "ac", true }, { "ab+c", "ac", false }, { "ab?c", "abbc", false },
    { "^a*?$", "aaa", true }, { "^a+?$", "", false }, { "^a??$", "a", true }, { "^a{2}?$", "aa", true },
    { "^a{1,2}?$", "aaa", false }, { "^a{2,}?$", "aaaa", true },
    { "^a{0}$", "", true }, { "^a{0}$", "a", false }, { "^a{1}$", "a", true }, { "^a{3}$", "aaa", true },
    { "^a{3}$", "aa", false }, { "^a{3}$", "aaaa", false }, { "^a{2,}$", "a", false },
    { "^a{2,}$", "aa", true }, { "^a{2,}$", "aaaaa", true }, { "^a{0,}$", "", true },
    { "^a{1,}$", "", false }, { "^a{0,1}$", "aa", false }, { "^a{2,4}$", "a", false },
    { "^a{2,4}$", "aa", true }, { "^a{2,4}$", "aaaa", true }, { "^a{2,4}$", "aaaaa", false },
    { "^a{0,3}$", "", true }, { "^a{0,3}$", "aaa", true }, { "^a{0,3}$", "aaaa", false },
    { "^a{0,0}b$", "b", true }, { "^(ab|c){2}$", "abc", true }, { "^(ab|c){2}$", "ab", false },
    { "^(a|bb){2,3}$", "bbabb", true }, { "^(a|bb){2,3}$", "abab", false },
    { "^(a{2}){3}$", "aaaaaa", true }, { "^(a{2}){3}$", "aaaaa", false },
    { "^(a{2,3}){2}$", "aaaaaaa", false }, { "^(?:a{0,2}b){2}$", "abaab", true },
    { "^(a*)*$", "aaa", true }, { "^(a*)+$", "", true }, { "^(a*b*)*$", "abba", true },
    { "^(a+)+$", "aaab", false }, { "^(|a)+$", "aaa", true }, { "^(a|)*b$", "aab", true },
    { "^(a?){3}$", "aa", true }, { "^(a?)*?$", "b", false }, { "^()*$", "", true },
    { "^(){5}a$", "a", true }, { "(a{0}){1000}b", "b", true }, { "^(?:(?:a{0})*)+$", "", true },
    { "^*a", "ba", true }, { "^+a", "ba", false }, { "$*", "x", true }, { "\\b+a", "a", true },
    { "^(?:$)*a", "a", true }, { "(?:\\b){3}a", "-a", true }, { "a(?i)*b", "b", true },
    { "^a+(?i){2}$", "a", false }, { "^a+(?i){2}$", "aa", true },
    { "x{0,1000}y", "y", true }, { "日{2}", "日日", true }, { "^日{2}$", "日", false },

    /* Braces that are no repetition. */
    { "a{", "a{", true }, { "a{,2}", "a{,2}", true }, { "^a{,2}$", "aa", false }, { "a{1", "a{1", true },
    { "a{1,", "a{1,", true }, { "a{1,2", "a{1,2", true }, { "a{ 1}", "a{ 1}", true },
    { "a{1;2}", "a{1;2}", true }, { "a{01}", "a{01}", true }, { "a{1,02}", "a{1,02}", true },
    { "{", "{", true }, { "}", "}", true }, { "{}", "{}", true }, { "x{}", "x{}", true },
    { "{a}", "{a}", true }, { "^{*$", "{{", true }, { "]", "]", true }, { "a]b", "a]b", true },

    /* The dot. */
    { "a.c", "abc", true }, { "a.c", "ac", false }, { "a.c", "a\nc", false }, { "a.c", "aéc", true },
    { "^.$", "😀", true }, { "^..$", "😀", false }, { "^.$", "日", true }, { "^.$", "\r", true },
    { ".", "", false }, { ".", "\n", false }, { "(?s).", "\n", true }, { "(?s)^.*$", "a\nb\n", true },
    { "^.*$", "a\nb", false }, { "a.*b", "a\nb", false }, { "a(?s:.)b.c", "a\nb\nc", false },
    { "a(?s:.)b.c", "a\nb-c", true }, { "(?s)a(?-s).b", "a\nb", false }, { "\\.", "a", false },
    { "\\.", ".", true }, { ".*x", "aaa", false }, { "^.*x.*$", "aaxaa", true },

    /* Classes. */
    { "[abc]", "xbx", true }, { "[abc]", "xyz", false }, { "^[a-c]+$", "abcabc", true },
    { "^[a-c]+$", "abcd", false }, { "[^a]", "a", false }, { "[^a]", "b", true }, { "[^a]", "\n", true },
    { "[^a]", "", false }, { "^[^a-c]+$", "xyz", true }, { "^[^a-c]+$", "xaz", false },
    { "[a-cx-z]", "y", true }, { "[a-cx-z]", "m", false }, { "[]a]", "]", true }, { "[]a]", "b", false },
    { "[^]a]", "]", false }, { "[^]a]", "b", true }, { "[]-a]", "^", true }, { "[]-a]", "b", false },
    { "[-a]", "-", true }, { "[a-]", "-", true }, { "[a-]", "b", false }, { "[--/]", ".", true },
    { "[a\\-z]", "-", true }, { "[a\\-z]", "m", false }, { "[\\]]", "]", true }, { "[\\^a]", "^", true },
    { "[a^]", "^", true }, { "[\\\\]", "\\", true }, { "[.]", "a", false }, { "[.]", ".", true },
    { "[*+?(){}|$]", "|", true }, { "[a-z0-9]", "5", true }, { "[\\d-z]", "-", true },
    { "[\\d-z]", "z", true }, { "[\\d-z]", "a", false }, { "[\\w.-]+@", "a.b-c@", true },
    { "[\\x41-\\x43]", "B", true }, { "[\\x41-\\x43]", "D", false }, { "[\\n\\t]", "\t", true },
    { "[\\101]", "A", true }, { "[é-ü]", "ñ", true }, { "[é-ü]", "e", false }, { "^[日本]+$", "本日", true },
    { "[^日]", "日", false }, { "^[^日]$", "é", true }, { "[\\x{1F600}-\\x{1F64F}]", "😀", true },
    { "[\\x{1F600}-\\x{1F64F}]", "é", false }, { "[a-z]", "É", false }, { "[ab[]", "[", true },
    { "[[ab]]", "a]", true }, { "[[ab]", "b", true }, { "[^\\x00-\\x{10FFFF}]", "a", false },
    { "a|[^\\x00-\\x{10FFFF}]", "a", true }, { "^[\\x{0}-\\x{10FFFF}]$", "\n", true },
    { "[a-a]", "a", true }, { "[ac-eb]", "b", true }, { "[c-ea-d]", "a", true }, { "[c-ea-d]", "f", false },
    { "[^\\d\\D]", "5", false }, { "[a&&b]", "&", true }, { "[a-c-e]", "-", true }, { "[a-c-e]", "d", false },

    /* Perl's classes are ASCII. */
    { "\\d", "7", true }, { "\\d", "x", false }, { "\\d", "٣", false }, { "\\D", "7", false },
    { "\\D", "٣", true }, { "^\\w+$", "aZ_9", true }, { "\\w", "é", false }, { "\\w", "-", false },
    { "\\W", "é", true }, { "\\W", "_", false }, { "^\\s+$", " \t\n\r\f", true }, { "\\s", "\v", false },
    { "\\s", "\xC2\xA0", false }, { "\\S", " ", false }, { "\\S", "\v", true }, { "[^\\s]", " x", true },
    { "[\\D]", "5", false }, { "[\\W\\w]", "x", true }, { "[^\\W]", "-", false }, { "[^\\W]", "x", true },
    { "[^\\wé]", "é", false }, { "^\\d{3}-\\d{4}$", "555-1234", true }, { "^\\d{3}-\\d{4}$", "555-123", false },

    /* POSIX classes. */
    { "^[[:alnum:]]+$", "aZ9", true }, { "[[:alnum:]]", "_", false }, { "[[:alpha:]]", "5", false },
    { "[[:alpha:]]", "q", true }, { "[[:ascii:]]", "é", false }, { "[[:ascii:]]", "\x7F", true },
    { "[[:blank:]]", "\t", true }, { "[[:blank:]]", "\n", false }, { "[[:cntrl:]]", "\x1F", true },
    { "[[:cntrl:]]", "\x7F", true }, { "[[:cntrl:]]", " ", false }, { "[[:digit:]]", "0", true },
    { "[[:graph:]]", " ", false }, { "[[:graph:]]", "~", true }, { "[[:lower:]]", "A", false },
    { "[[:lower:]]", "a", true }, { "[[:print:]]", " ", true }, { "[[:print:]]", "\x7F", false },
    { "^[[:punct:]]+$", "!/:@[`{~", true }, { "[[:punct:]]", "a0 ", false }, { "[[:space:]]", "\v", true },
    { "[[:upper:]]", "a", false }, { "[[:upper:]]", "A", true }, { "[[:word:]]", "_", true },
    { "^[[:xdigit:]]+$", "09afAF", true }, { "[[:xdigit:]]", "g", false }, { "[[:^alpha:]]", "a", false },
    { "[[:^alpha:]]", "5", true }, { "[[:^alpha:]]", "é", true }, { "[^[:alpha:]]", "a", false },
    { "[^[:^alpha:]]", "a", true }, { "[^[:^alpha:]]", "5", false }, { "[[:alpha:]5]", "5", true },
    { "[a[:digit:]z]", "z", true }, { "[[:alpha:]-z]", "-", true }, { "[:alpha:]", "h", true },
    { "[:alpha:]", "b", false }, { "[[:alpha]", ":", true }, { "[[:]", "[", true },

    /* Words. */
    { "\\bfoo\\b", "a foo b", true }, { "\\bfoo\\b", "afoo", false }, { "\\bfoo\\b", "foo", true },
    { "\\bfoo\\b", "foo_", false }, { "\\bfoo\\b", "foo-bar", true }, { "\\bfoo\\b", "éfooé", true },
    { "\\b", "", false }, { "\\b", "-", false }, { "\\b", "a", true }, { "\\B", "", true },
    { "\\B", "a", false }, { "\\B", "ab", true }, { "\\Boo\\B", "foot", true }, { "\\Boo\\B", "foo", false },
    { "\\b\\B", "ab-", false }, { "^\\b", "a", true }, { "^\\B", "-", true }, { "$\\b", "a", true },
    { "(?:\\Ba)+$", "xa-xa", true }, { "(?:\\Ba)+$", "xa-a", false }, { "a\\b.", "ab", false }, { "a\\b.", "a-", true }, { "a\\B.", "ab", true },

    /* Lines. */
    { "(?m)^b", "a\nb", true }, { "(?m)^b", "ab", false }, { "(?m)a$", "a\nb", true },
    { "(?m)a$", "ab\n", false }, { "(?m)^$", "a\n", true }, { "(?m)^$", "a\n\nb", true },
    { "(?m)^$", "a\nb", false }, { "(?m)^$", "", true }, { "(?m)^a$\n^b$", "a\nb", true },
    { "(?m)\\Ab", "a\nb", false }, { "(?m)a\\z", "a\nb", false }, { "(?m)a$", "a\r\nb", false },
    { "^b", "a\nb", false }, { "(?m:^b)", "a\nb", true }, { "(?m:^)b|^c", "a\nc", false },
    { "(?m)(?-m)^b", "a\nb", false }, { "(?m)(?-m:^b)|^c", "a\nc", true }, { "(?m)^*b$", "ab", true },

    /* Case. */
    { "(?i)abc", "xAbCx", true }, { "(?i)ABC", "abc", true }, { "(?i)a-1", "A-1", true },
    { "(?i)a[b]c", "ABC", true }, { "(?i)[a-c]", "B", true }, { "(?i)[A-C]", "b", true },
    { "(?i)[a-c]", "D", false }, { "(?i)[^a]", "A", false }, { "(?i)[^a]", "b", true },
    { "(?i)[Z-a]", "z", true }, { "(?i)[Z-a]", "A", true }, { "(?i)[Z-a]", "b", false },
    { "(?i)k", "K", true }, { "(?i)k", KELVIN, true }, { "(?i)" KELVIN, "k", true },
    { "(?i)" KELVIN, "K", true }, { "(?i)[k]", KELVIN, true }, { "(?i)[^k]", KELVIN, false },
    { "(?i)[^k]", "K", false }, { "(?i)[^" KELVIN "]", "k", false }, { "k", KELVIN, false },
    { "(?i)s", "ſ", true }, { "(?i)ſ", "S", true }, { "(?i)[r-t]", "ſ", true }, { "(?i)s|t", "ſ", true },
    { "(?i)^straße$", "STRASSE", false }, { "(?i)^straße$", "STRAẞE", true }, { "(?i)é", "É", true },
    { "(?i)[à-ý]", "É", true }, { "(?i)[À-Ý]", "é", true }, { "(?i)[^À-Ý]", "é", false },
    { "(?i)σ", "ς", true }, { "(?i)ς", "Σ", true }, { "(?i)[Σ]", "ς", true }, { "(?i)ǆ", "ǅ", true },
    { "(?i)i", "İ", false }, { "(?i)i", "ı", false }, { "(?i)İ", "i", false }, { "(?i)" MICRO, "μ", true },
    { "(?i)å", ANGSTROM, true }, { "(?i)" ANGSTROM, "Å", true }, { "(?i)ω", OHM, true },
    { "(?i)[" OHM "]", "Ω", true }, { "(?i)𐐨", "𐐀", true }, { "(?i)ა", "Ა", true },
    { "(?i)\\w", KELVIN, true }, { "(?i)\\W", KELVIN, false }, { "(?i)\\W", "ſ", false },
    { "\\W", KELVIN, true }, { "\\w", KELVIN, false },
    { "(?i)[\\W]", "k", false }, { "(?i)[^\\W]", "ſ", true }, { "(?i)[^\\w]", "ſ", false },
    { "(?i)[[:upper:]]", "a", true }, { "(?i)[[:^upper:]]", "a", false }, { "(?i)[[:lower:]]", "ſ", true },
    { "(?i)[[:ascii:]]", KELVIN, true }, { "[[:ascii:]]", KELVIN, false }, { "(?i)\\x41", "a", true }, { "(?i)\\Qa.B\\E", "A.b", true },
    { "(?i)\\x{212A}", "k", true }, { "(?i)[\\x{0}-\\x{10FFFF}]", "ǆ", true }, { "(?i)\\bk\\b", "a" KELVIN "b", true },
    { "(?i)\\Bk\\B", "-" KELVIN "-", true },
    { "(?i)[@-_]", "m", true }, { "(?i)[`]", "@", false }, { "(?i)[{]", "[", false },
    { "(?i)aab", "AAAB", true }, { "(?i)^ab", "ABC", true }, { "(?i)^ab", "CAB", false },
    { "(?i)ab$", "CAB", true }, { "(?i)ab$", "ABC", false }, { "(?i)^ab$", "AB", true },
    { "(?i)^ab$", "ABB", false }, { "(?i)k1$", KELVIN "1", true }, { "(?i)^k1", KELVIN "1x", true }, { "(?i)^k1$", KELVIN "1", true },
    { "(?i)k1", "xk" KELVIN "1", true },

    /* Where flags hold. */
    { "a(?i)b", "aB", true }, { "a(?i)b", "AB", false }, { "a(?i:b)c", "aBc", true },
    { "a(?i:b)c", "aBC", false }, { "(?i)a(?-i)b", "Ab", true }, { "(?i)a(?-i)b", "AB", false },
    { "(?i:a(?-i:b)c)", "AbC", true }, { "(?i:a(?-i:b)c)", "ABC", false }, { "(a(?i)b)c", "aBc", true },
    { "(a(?i)b)c", "aBC", false }, { "a(?i)b|c", "C", true }, { "(?:a(?i)b|c)d", "CD", false },
    { "(?:a(?i)b|c)d", "Cd", true }, { "(?is)a.b", "A\nB", true }, { "(?i-s:a.b)", "A\nB", false },
    { "(?s)(?i-s:a.b).", "AxB\n", true }, { "(?ims)^a.b$", "x\nA\nB", true }, { "(?U)a+", "aa", true },
    { "(?U)^a+?$", "aa", true }, { "(?iU-s:a)", "A", true }, { "(?-s).", "\n", false },
    { "(?i)(?m)(?s)^a.$", "x\nA\n", true }, { "(?i)a(?-i)é", "Aé", true }, { "(?i)a(?-i)é", "AÉ", false },

    /* Escapes. */
    { "\\a\\f\\n\\r\\t\\v", "\a\f\n\r\t\v", true }, { "\\x41", "A", true }, { "\\x7e", "~", true },
    { "\\xe9", "é", true }, { "\\xE9", "\xE9", false }, { "\\x{41}", "A", true },
    { "\\x{1F600}", "😀", true }, { "\\x{1f600}", "😀", true }, { "\\x{10FFFF}", "\xF4\x8F\xBF\xBF", true },
    { "\\x{000041}", "A", true }, { "\\x414", "A4", true }, { "\\101", "A", true }, { "\\1011", "A1", true },
    { "\\12", "\n", true }, { "\\07", "\a", true }, { "\\018", "\x01" "8", true }, { "\\777", "ǿ", true },
    { "\\.\\*\\+\\?\\(\\)\\[\\]\\{\\}\\|\\^\\$\\\\", ".*+?()[]{}|^$\\", true }, { "\\-\\/\\ \\_", "-/ _", true },
    { "\\<a\\>", "<a>", true }, { "\\x{D800}", "\xED\xA0\x80", false },
    { "\\Qa.b\\E", "a.b", true }, { "\\Qa.b\\E", "axb", false }, { "\\Qa+b", "a+b", true },
    { "\\Q\\E", "", true }, { "\\Q(\\E+", "((", true }, { "^\\Qab\\E*$", "abbb", true },
    { "^\\Qab\\E*$", "abab", false }, { "\\Q\\\\E", "\\", true }, { "\\Q[a]\\E[b]", "[a]b", true },
    { "a\\Q\\E*b", "b", true }, { "^a*\\Q\\E*$", "aa", true }, { "\\Q\\d\\E\\d", "\\d5", true },
    { "\\Qé日\\E", "é日", true },

    /* What people write. */
    { "^[a-z0-9._+-]+@([a-z0-9-]+\\.)+[a-z]{2,}$", "some.one+tag@mail.example.com", true },
    { "^[a-z0-9._+-]+@([a-z0-9-]+\\.)+[a-z]{2,}$", "some.one@localhost", false },
    { "@(?:example|test)\\.(?:com|org)$", "x@test.org", true },
    { "@(?:example|test)\\.(?:com|org)$", "x@test.orgs", false },
    { "^v?\\d+\\.\\d+(\\.\\d+)?$", "v1.20.3", true }, { "^v?\\d+\\.\\d+(\\.\\d+)?$", "1.2.", false },
    { "^(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)(?:\\.(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)){3}$", "192.168.0.255", true },
    { "^(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)(?:\\.(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)){3}$", "192.168.0.256", false },
    { "^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "123e4567-e89b-12d3-a456-426614174000", true },
    { "(?i)iphone|ipad", "Mozilla/5.0 (iPad; CPU OS 16_0)", true },
    { "^/api/v[12]/users(?:/\\d+)?$", "/api/v2/users/42", true },
    { "^/api/v[12]/users(?:/\\d+)?$", "/api/v3/users", false },
};
/* clang-format on */

START_TEST(a_pattern_finds_what_the_table_says)
{
    const struct row *row = &rows[_i];

    ck_assert_msg(search(row->pattern, row->text) == row->found, "/%s/ on \"%s\"", row->pattern,
                  row->text);
}
END_TEST

struct refused {
    const char *pattern, *words;
};

static const struct refused refused[] = {
    { "(", "missing ) for the ( at byte 1" },
    { "ab(c", "missing ) for the ( at byte 3" },
    { "(a(b)", "missing ) for the ( at byte 1" },
    { "(a(b", "missing ) for the ( at byte 3" },
    { "(?i", "missing ) for the ( at byte 1" },
    { "a(?", "missing ) for the ( at byte 2" },
    { "(?:a", "missing ) for the ( at byte 1" },
    { "(?P<n>", "missing ) for the ( at byte 1" },
    { ")", "unexpected ) at byte 1" },
    { "(a))", "unexpected ) at byte 4" },
    { "é)", "unexpected ) at byte 3" },
    { "[", "missing ] for the [ at byte 1" },
    { "[]", "missing ] for the [ at byte 1" },
    { "[^]", "missing ] for the [ at byte 1" },
    { "x[a-", "missing ] for the [ at byte 2" },
    { "[[:alpha:]", "missing ] for the [ at byte 1" },
    { "[[:alpha:", "missing ] for the [ at byte 1" },
    { "[[:[[:", "missing ] for the [ at byte 1" },
    { "[ -\\]", "missing ] for the [ at byte 1" },
    { "[z-a]", "range with its ends reversed at byte 2" },
    { "[a--]", "range with its ends reversed at byte 2" },
    { "[a-\\]]", "range with its ends reversed at byte 2" },
    { "[xé-e]", "range with its ends reversed at byte 3" },
    { "[a-\\d]", "unknown escape at byte 4" },
    { "[\\b]", "unknown escape at byte 2" },
    { "[\\A]", "unknown escape at byte 2" },
    { "[\\Qa\\E]", "unknown escape at byte 2" },
    { "[[:foo:]]", "unknown class name at byte 2" },
    { "[[:ALPHA:]]", "unknown class name at byte 2" },
    { "[[:d:]]", "unknown class name at byte 2" },
    { "[[::]]", "unknown class name at byte 2" },
    { "[[:^:]]", "unknown class name at byte 2" },
    { "[[:a]b:]]", "unknown class name at byte 2" },
    { "*", "nothing to repeat at byte 1" },
    { "+a", "nothing to repeat at byte 1" },
    { "?", "nothing to repeat at byte 1" },
    { "{2}", "nothing to repeat at byte 1" },
    { "a|*", "nothing to repeat at byte 3" },
    { "|+", "nothing to repeat at byte 2" },
    { "(*)", "nothing to repeat at byte 2" },
    { "(?:?a)", "nothing to repeat at byte 4" },
    { "(?i)*", "nothing to repeat at byte 5" },
    { "\\Q\\E*", "nothing to repeat at byte 5" },
    { "a**", "repetition of a repetition at byte 3" },
    { "a++", "repetition of a repetition at byte 3" },
    { "a?+", "repetition of a repetition at byte 3" },
    { "a*+", "repetition of a repetition at byte 3" },
    { "a*??", "repetition of a repetition at byte 4" },
    { "a{2}{3}", "repetition of a repetition at byte 5" },
    { "a{2}*", "repetition of a repetition at byte 5" },
    { "a{0}{0}", "repetition of a repetition at byte 5" },
    { "a{1001}", "more than 1000 times at byte 2" },
    { "a{1001,}", "more than 1000 times at byte 2" },
    { "a{0,1001}", "more than 1000 times at byte 2" },
    { "a{5000,1}", "more than 1000 times at byte 2" },
    { "a{99999999999999999999999999}", "more than 1000 times at byte 2" },
    { "a{2,1}", "bounds reversed at byte 2" },
    { "a{1,0}", "bounds reversed at byte 2" },
    { "(?:a{500}){3}", "repetitions inside each other at byte 11" },
    { "(a{500}?){3}", "repetitions inside each other at byte 10" },
    { "((((a{10}){10}){10}){10})", "repetitions inside each other at byte 21" },
    { "((a{500})?){3}", "repetitions inside each other at byte 12" },
    { "((a{500})){3}", "repetitions inside each other at byte 11" },
    { "((a{500})b){3}", "repetitions inside each other at byte 12" },
    { "a{500}(?i){0}(?i){3}", "repetitions inside each other at byte 18" },
    { "((a{500}){0}){500}", "repetitions inside each other at byte 14" },
    { "(a{2}|b{501}c){2}", "repetitions inside each other at byte 15" },
    { "(a{1000,}){2,}", "repetitions inside each other at byte 11" },
    { "(?=a)", "unsupported look-around at byte 1" },
    { "x(?!a)", "unsupported look-around at byte 2" },
    { "(?<=a)b", "unsupported look-around at byte 1" },
    { "(?<!a)b", "unsupported look-around at byte 1" },
    { "(a)\\1", "unsupported reference to a group at byte 4" },
    { "\\8", "unsupported reference to a group at byte 1" },
    { "(?P<n>a)(?P=n)", "unsupported reference to a group at byte 9" },
    { "(?P>n)", "unsupported reference to a group at byte 1" },
    { "(?>a)", "unknown kind of group at byte 1" },
    { "(?#comment)", "unknown kind of group at byte 1" },
    { "(?x)a", "unknown kind of group at byte 1" },
    { "(?ix)a", "unknown kind of group at byte 1" },
    { "(?P)", "unknown kind of group at byte 1" },
    { "(?Px", "unknown kind of group at byte 1" },
    { "(?^i:a)", "unknown kind of group at byte 1" },
    { "(?i--s)", "switches nothing off at byte 1" },
    { "(?-)", "switches nothing off at byte 1" },
    { "(?i-)", "switches nothing off at byte 1" },
    { "(?i-:a)", "switches nothing off at byte 1" },
    { "(?i-s-m)", "unknown kind of group at byte 1" },
    { "(?|a)", "unknown kind of group at byte 1" },
    { "(?'n'a)", "unknown kind of group at byte 1" },
    { "(?P<>a)", "group name not made of letters, digits and _ at byte 1" },
    { "(?P<n", "group name not made of letters, digits and _ at byte 1" },
    { "(?<n)a>", "group name not made of letters, digits and _ at byte 1" },
    { "(?P<a b>c)", "group name not made of letters, digits and _ at byte 1" },
    { "\\", "nothing behind the \\ at byte 1" },
    { "a\\", "nothing behind the \\ at byte 2" },
    { "[a\\", "nothing behind the \\ at byte 3" },
    { "\\p{L}", "unsupported \\p at byte 1" },
    { "a\\pN", "unsupported \\p at byte 2" },
    { "\\PN", "unsupported \\p at byte 1" },
    { "[\\p{Greek}]", "unsupported \\p at byte 2" },
    { "\\C", "unknown escape at byte 1" },
    { "\\Z", "unknown escape at byte 1" },
    { "\\G", "unknown escape at byte 1" },
    { "\\E", "unknown escape at byte 1" },
    { "\\h", "unknown escape at byte 1" },
    { "\\X", "unknown escape at byte 1" },
    { "\\u0041", "unknown escape at byte 1" },
    { "\\cA", "unknown escape at byte 1" },
    { "\\é", "unknown escape at byte 1" },
    { "\\x", "\\x without two digits or {digits} at byte 1" },
    { "\\x4", "\\x without two digits or {digits} at byte 1" },
    { "\\x4g", "\\x without two digits or {digits} at byte 1" },
    { "\\x{}", "\\x without two digits or {digits} at byte 1" },
    { "\\x{41", "\\x without two digits or {digits} at byte 1" },
    { "\\x{4 1}", "\\x without two digits or {digits} at byte 1" },
    { "\\x{110000}", "code point beyond 10FFFF at byte 1" },
    { "\\x{FFFFFFFFFFFFFFFF}", "code point beyond 10FFFF at byte 1" },
    { "a\xFF", "malformed UTF-8 at byte 2" },
    { "é\xE2\x84", "malformed UTF-8 at byte 3" },
    { "\xEF\xBF\xBD\x80", "malformed UTF-8 at byte 4" },
    { "\xED\xA0\x80", "malformed UTF-8 at byte 1" },
    { "([a-z]{1000}){2}", "repetitions inside each other at byte 14" },
    { "(?:abcdef){1000}", "more than 5000 steps at byte 16" },
    { "(?:.{0,6}a{6}){160}(?:.{0,6}a{6}){160}", "more than 5000 steps at byte 38" },
};

START_TEST(a_pattern_is_refused_with_the_place_and_the_reason)
{
    const struct refused *row = &refused[_i];
    const struct fv_regex *regex = NULL;

    assert_fails(FLAGVER_EPARSE, fv_regex_compile(&arena, row->pattern, strlen(row->pattern), false,
                                                  &regex, &error));
    ck_assert_msg(strncmp(error.message, "regular expression: ", 20) == 0, "%s", error.message);
    assert_words(row->words);
    ck_assert_ptr_null(regex);
}
END_TEST

START_TEST(fold_is_as_if_the_pattern_began_with_i)
{
    ck_assert(fv_regex_search(compile("abc", true), "ABC", 3));
    ck_assert(fv_regex_search(compile("^k$", true), KELVIN, 3));
    ck_assert(fv_regex_search(compile("a[b-d]+|x", true), "-ABCD-", 6));
    ck_assert(!fv_regex_search(compile("a(?-i)b", true), "AB", 2));
    ck_assert(fv_regex_search(compile("a(?-i)b", true), "Ab", 2));
    ck_assert(!fv_regex_search(compile("abc", false), "ABC", 3));
}
END_TEST

START_TEST(a_nul_is_a_character_like_any_other)
{
    const struct fv_regex *regex;

    ck_assert(fv_regex_search(compile("a\\0b", false), "xa\0by", 5));
    ck_assert(!fv_regex_search(compile("a\\0b", false), "ab", 2));
    ck_assert(fv_regex_search(compile("^a.b$", false), "a\0b", 3));
    ck_assert(fv_regex_search(compile("[\\x00-\\x1f]", false), "a\0", 2));
    ck_assert(fv_regex_search(compile("b$", false), "a\0b", 3));
    ck_assert(!fv_regex_search(compile("\\w\\w", false), "a\0b", 3));

    assert_ok(fv_regex_compile(&arena, "a\0+", 3, false, &regex, &error));
    ck_assert(fv_regex_search(regex, "a\0\0", 3));
    ck_assert(!fv_regex_search(regex, "a+", 2));
    assert_fails(FLAGVER_EPARSE, fv_regex_compile(&arena, "\\\0)", 3, false, &regex, &error));
    assert_words("unexpected ) at byte 3");
}
END_TEST

START_TEST(an_empty_text_or_pattern_may_be_null)
{
    const struct fv_regex *regex;

    ck_assert(fv_regex_search(compile("^$", false), NULL, 0));
    ck_assert(fv_regex_search(compile("^a*$", true), NULL, 0));
    ck_assert(!fv_regex_search(compile("a|b", false), NULL, 0));
    ck_assert(!fv_regex_search(compile("ab", false), NULL, 0));
    assert_ok(fv_regex_compile(&arena, NULL, 0, false, &regex, &error));
    ck_assert(fv_regex_search(regex, NULL, 0));
}
END_TEST

static const struct row stray_rows[] = {
    { "^.$", "\xFF", true },
    { "^..$", "\xE2\x84", true },
    { "^...$", "\xED\xA0\x80", true },
    { "\\x{FFFD}", "\xFF", true },
    { "^\\x{FFFD}$", "\x80", true },
    { "a\\x{FFFD}b",
      "a\xC3"
      "b",
      true },
    { "[\\x{FFF0}-\\x{FFFF}]", "a\xE2", true },
    { "[^\\x{FFFD}]", "\xFF", false },
    { "é", "\xC3", false },
    { "é", "\xC3\xC3\xA9", true },
    { "^\\x{FFFD}é$", "\xC3\xC3\xA9", true },
    { "é|è", "\xA9\xC3", false },
    { "[é-ü]", "\xC3\xC3\xA9\xA9", true },
    { "(?i)É", "\xC3\xC3\xA9", true },
    { "(?i)[^a]", "\xFF", true },
    { "(?i)a\\x{FFFD}", "A\xFF", true },
    { "\\W", "\xFF", true },
    { "\\ba\\b",
      "\xFF"
      "a\xFF",
      true },
    { "[©]", "\xC3\xA9", false },
};

START_TEST(a_byte_that_is_no_utf8_is_one_replacement_character)
{
    const struct row *row = &stray_rows[_i];

    ck_assert_msg(search(row->pattern, row->text) == row->found, "row %d: /%s/", _i, row->pattern);
}
END_TEST

/* Patterns that grow. */

static char *repeated(const char *before, const char *part, size_t times, const char *after)
{
    size_t length = strlen(part), i;
    char *text = malloc(strlen(before) + times * length + strlen(after) + 1), *at;

    ck_assert_ptr_nonnull(text);
    at = text + strlen(before);
    memcpy(text, before, strlen(before));
    for (i = 0; i < times; i++, at += length)
        memcpy(at, part, length);
    memcpy(at, after, strlen(after) + 1);
    return text;
}

static void assert_refused(char *pattern, const char *words)
{
    const struct fv_regex *regex;

    assert_fails(FLAGVER_EPARSE,
                 fv_regex_compile(&arena, pattern, strlen(pattern), false, &regex, &error));
    assert_words(words);
    free(pattern);
}

START_TEST(a_thousand_groups_may_be_nested_and_no_more)
{
    char *open = repeated("", "(", 1000, "a"), *pattern = repeated(open, ")", 1000, "");

    ck_assert(search(pattern, "a"));
    ck_assert(!search(pattern, "b"));
    free(open);
    free(pattern);

    open = repeated("", "(?:", 1000, "a");
    pattern = repeated(open, ")*", 1000, "b");
    ck_assert(search(pattern, "aab"));
    free(open);
    free(pattern);

    assert_refused(repeated("", "(", 1001, ""),
                   "more than 1000 groups inside each other at byte 1001");
    assert_refused(repeated("", "(", 10000, ""), "more than 1000 groups inside each other");
    assert_refused(repeated("", "(?i:", 2000, ""), "more than 1000 groups inside each other");
}
END_TEST

START_TEST(a_pattern_may_come_to_five_thousand_steps_and_no_more)
{
    char *pattern = repeated("", "a", 4999, ""), *text = repeated("b", "a", 4999, "");

    ck_assert(search(pattern, text));
    ck_assert(!search(pattern, text + 2));
    free(pattern);
    assert_refused(repeated("", "a", 5000, ""), "more than 5000 steps at byte 5000");

    /* A class keeps the automaton from being left out. */
    pattern = repeated("[ab]", "a", 4998, "");
    ck_assert(search(pattern, text));
    ck_assert(!search(pattern, text + 2));
    free(pattern);
    free(text);

    ck_assert(search("(?:abcd){1000}(?:a?){400}b", "") == false);
    assert_refused(repeated("", "a|", 2000, "b"), "more than 5000 steps");
    assert_refused(repeated("", ".{1000}", 5, ""), "more than 5000 steps at byte 35");
    assert_refused(repeated("", "(?:(?:a?){10}){99}", 3, ""), "more than 5000 steps");
}
END_TEST

START_TEST(a_pattern_may_have_32768_bytes_and_no_more)
{
    char *pattern = repeated("", "a{0}", FV_REGEX_PATTERN_MAX / 4, "");
    const struct fv_regex *regex;

    assert_ok(fv_regex_compile(&arena, pattern, FV_REGEX_PATTERN_MAX, false, &regex, &error));
    ck_assert(fv_regex_search(regex, "b", 1));
    free(pattern);
    assert_refused(repeated("b", "a{0}", FV_REGEX_PATTERN_MAX / 4, ""),
                   "32769 bytes; up to 32768 allowed");
}
END_TEST

/* Each is as large as patterns get and would take ages if it were read naively. */
START_TEST(reading_a_hostile_pattern_is_quick)
{
    static const char *const parts[] = {
        "(a{1000}){0}",
        "[[:",
        "[[:alpha:]",
        "[^\\W\\D]{0}",
        "(?:",
        "\\Q",
        "(?i)[\x01-\xF4\x8F\xBF\xBF]",
        "a{1,99999999999999999999999999",
        "(?:a?){0,1}(?:)*",
    };
    char *pattern = repeated("", parts[_i], FV_REGEX_PATTERN_MAX / strlen(parts[_i]), "");
    const struct fv_regex *regex;
    int r;

    r = fv_regex_compile(&arena, pattern, strlen(pattern), true, &regex, &error);
    ck_assert(r == 0 || r == FLAGVER_EPARSE);
    free(pattern);

    pattern = repeated("[", parts[_i], FV_REGEX_PATTERN_MAX / strlen(parts[_i]) - 1, "");
    r = fv_regex_compile(&arena, pattern, strlen(pattern), true, &regex, &error);
    ck_assert(r == 0 || r == FLAGVER_EPARSE);
    free(pattern);
}
END_TEST

START_TEST(a_class_of_many_scattered_members_is_read_in_any_order)
{
    char *pattern = repeated("[", "xxx", 10000, "]"), *at = pattern + 1, text[4];
    const struct fv_regex *regex;
    uint32_t c;

    /* Every second one, the last first. */
    for (c = 0xCFFE; at < pattern + 1 + 30000; c -= 2)
        at += fv_utf8_encode(c, at);
    regex = compile(pattern, false);
    free(pattern);

    for (c = 0xCFFE - 2 * 9999; c <= 0xCFFF; c++)
        ck_assert(fv_regex_search(regex, text, fv_utf8_encode(c, text)) == (c % 2 == 0));
}
END_TEST

START_TEST(a_set_keeps_its_ranges_apart_and_in_order)
{
    struct fv_regex_set set = { .memory = NULL };

    fv_regex_set_add(&set, 20, 29);
    fv_regex_set_add(&set, 40, 49);
    fv_regex_set_add(&set, 0, 9);
    ck_assert_uint_eq(set.count, 3);
    fv_regex_set_add(&set, 10, 18);
    ck_assert_uint_eq(set.count, 3);
    fv_regex_set_add(&set, 19, 19);
    ck_assert_uint_eq(set.count, 2);
    ck_assert_uint_eq(set.ranges[0].low, 0);
    ck_assert_uint_eq(set.ranges[0].high, 29);
    fv_regex_set_add(&set, 60, 69);
    fv_regex_set_add(&set, 25, 65);
    ck_assert_uint_eq(set.count, 1);
    ck_assert_uint_eq(set.ranges[0].high, 69);
    fv_regex_set_add(&set, FV_UTF8_LARGEST, FV_UTF8_LARGEST);

    fv_regex_set_complement(&set);
    ck_assert_uint_eq(set.count, 1);
    ck_assert_uint_eq(set.ranges[0].low, 70);
    ck_assert_uint_eq(set.ranges[0].high, FV_UTF8_LARGEST - 1);
    fv_regex_set_complement(&set);
    ck_assert_uint_eq(set.count, 2);
    ck_assert(fv_regex_ranges_have(set.ranges, set.count, 69));
    ck_assert(!fv_regex_ranges_have(set.ranges, set.count, 70));
    ck_assert(fv_regex_ranges_have(set.ranges, set.count, FV_UTF8_LARGEST));
    fv_regex_set_clear(&set);
}
END_TEST

/* Searches whose time explodes where there is backtracking; here they only have to end. */

struct hostile {
    const char *pattern;
    const char *part;
    size_t times;
    const char *after;
    bool found;
};

static const struct hostile hostile[] = {
    { "(a*)*b", "a", 1000000, "", false },
    { "(a*)*b", "a", 1000000, "b", true },
    { "(x+x+)+y", "x", 1000000, "", false },
    { "(x+x+)+y", "x", 1000000, "y", true },
    { "(a|aa)+$", "a", 1000000, "b", false },
    { "(a|aa)+$", "a", 1000000, "", true },
    { "(|a)*b", "a", 1000000, "", false },
    { "((a*)+)*b", "a", 300000, "", false },
    { "(?:a?){500}a{500}b", "a", 10000, "", false },
    { "(?:a?){500}a{500}", "a", 499, "", false },
    { "(?:a?){500}a{500}", "a", 500, "", true },
    { "^(?:a?){500}a{500}$", "a", 1001, "", false },
    { "(.*)(.*)(.*)(.*)=(.*)!", "ab=", 100000, "", false },
    { "(?:.{0,100}x){3}y", "ax", 20000, "", false },
    { "^(([a-z])+.)+[A-Z]([a-z])+$", "a", 300000, "", false },
    { "(?i)(?:k|s|\\x{212A})*\\d", "kS" KELVIN, 100000, "", false },
    { "[^b]*[^c]*[^d]*e", "a", 300000, "", false },
    { "(?m)^(?:a|b|ab)*$", "ab", 300000, "c", false },
    { "(?:\\b|\\B)*c", "a-", 300000, "", false },
    { "aaaaaaaaaaaaaaaab", "a", 1000000, "", false },
    { "(?i)aaaaaaaaaaaaaaaab", "a", 1000000, "", false },
    { "é", "\xC3", 1000000, "", false },
    { "[é-ü]x", "é", 300000, "", false },
};

START_TEST(a_search_takes_linear_time)
{
    const struct hostile *row = &hostile[_i];
    char *text = repeated("", row->part, row->times, row->after);

    ck_assert_msg(search(row->pattern, text) == row->found, "/%s/", row->pattern);
    free(text);
}
END_TEST

/* Memory that runs out. */

struct budget {
    size_t left, live;
};

static void *budget_allocate(void *data, size_t size)
{
    struct budget *budget = data;

    if (budget->left == 0)
        return NULL;
    budget->left--;
    budget->live++;
    return malloc(size);
}

static void *budget_reallocate(void *data, void *block, size_t size)
{
    struct budget *budget = data;

    if (!block)
        return budget_allocate(data, size);
    if (budget->left == 0)
        return NULL;
    budget->left--;
    return realloc(block, size);
}

static void budget_release(void *data, void *block)
{
    struct budget *budget = data;

    budget->live--;
    free(block);
}

static const struct row memory_rows[] = {
    { "plain", "a plain text", true },
    { "long enough for what comes with it to need a chunk of memory of its own", "short", false },
    { "(?i)plain", "A PLAIN TEXT", true },
    { "^plain$", "plain", true },
    { "(?i)^[^\\W\\d][[:alpha:]é-ü]+(?:x|y|\\W{3,7}){2,}$", "\xC3\x89", false },
    { "(((((((((((a|b)c|d)e|f)g|h)i|j)k)l)m)n)o)p)q{20}", "acegiklmnopqqqqqqqqqqqqqqqqqqqq", true },
    { "[acegikmoqsuwyACEGIKMOQSUWYàâäæèêìîðòô]{2}[^bdf][\\x{100}-\\x{200}]", "àa-Ā", true },
};

START_TEST(each_allocation_may_fail_and_nothing_leaks)
{
    const struct row *row = &memory_rows[_i];
    struct budget budget = { 0, 0 };
    flagver_allocator memory = { budget_allocate, budget_reallocate, budget_release, &budget };
    const struct fv_regex *regex;
    struct fv_arena short_arena;
    size_t allowed;
    int r;

    for (allowed = 0;; allowed++) {
        ck_assert_uint_lt(allowed, 1000);
        budget.left = allowed;
        regex = NULL;
        fv_arena_init(&short_arena, &memory, 64);
        r = fv_regex_compile(&short_arena, row->pattern, strlen(row->pattern), false, &regex,
                             &error);
        if (r == 0)
            ck_assert(fv_regex_search(regex, row->text, strlen(row->text)) == row->found);
        fv_arena_clear(&short_arena);
        ck_assert_uint_eq(budget.live, 0);
        if (r == 0)
            break;
        ck_assert_int_eq(r, FLAGVER_ENOMEM);
        ck_assert_ptr_null(regex);
    }
    ck_assert_uint_gt(allowed, 2);
}
END_TEST

/*
 * Random patterns against another way of matching: a pattern is a tree, and a
 * tree maps a place in the text to the set of places where a match may end. With
 * at most 15 characters such a set is a few bits, and nothing needs to be clever.
 */

enum kind { EMPTY, CHARACTER, DOT, CLASS, ASSERTION, SEQUENCE, CHOICE, REPETITION, FLAGS };

struct node {
    enum kind kind;
    unsigned letters;          /* CHARACTER, CLASS: a bit for each member of the alphabet */
    char assertion;            /* as it is written: ^ $ A z b B */
    int least, most;           /* most < 0 for no bound */
    bool fold, lines, newline; /* FLAGS: what holds inside */
    struct node *left, *right;
};

struct flags {
    bool fold, lines, newline;
};

/* Letters of one kind differ in case only; 0 is a kind of its own. */
static const struct letter {
    uint32_t code_point;
    int same;
    bool word;
} alphabet[] = {
    { 'a', 1, true },   { 'A', 1, true },     { 'b', 0, true },      { 'k', 2, true },
    { 'K', 2, true },   { 0x212A, 2, false }, { 0xE9, 3, false },    { 0xC9, 3, false },
    { '\n', 0, false }, { '-', 0, false },    { 0x1F600, 0, false },
};

#define LETTERS COUNT(alphabet)
#define TEXT_MAX 15
#define NODES_MAX 400

static struct node nodes[NODES_MAX];
static size_t node_count;
static uint32_t random_state;

static unsigned draw(unsigned below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % below;
}

static struct node *grow(int depth)
{
    static const char assertions[] = "^$AzbB";
    struct node *node = &nodes[node_count++];
    unsigned choice = draw(depth > 0 ? 20 : 9);

    memset(node, 0, sizeof *node);
    if (choice < 5) {
        node->kind = CHARACTER;
        node->letters = 1u << draw(draw(3) ? 3 : LETTERS);
    } else if (choice < 6) {
        node->kind = DOT;
    } else if (choice < 7) {
        node->kind = CLASS;
        node->letters = 1 + draw((1u << LETTERS) - 1);
    } else if (choice < 8) {
        node->kind = ASSERTION;
        node->assertion = assertions[draw(6)];
    } else if (choice < 9) {
        node->kind = EMPTY;
    } else if (choice < 13) {
        node->kind = SEQUENCE;
    } else if (choice < 15) {
        node->kind = CHOICE;
    } else if (choice < 19) {
        node->kind = REPETITION;
        node->least = (int)draw(3);
        node->most = draw(2) ? -1 : node->least + (int)draw(2);
    } else {
        node->kind = FLAGS;
        node->fold = draw(2);
        node->lines = draw(2);
        node->newline = draw(2);
    }

    if (node->kind >= SEQUENCE)
        node->left = grow(depth - 1);
    if (node->kind == SEQUENCE || node->kind == CHOICE)
        node->right = grow(depth - 1);
    return node;
}

static char *put(char *at, const char *words)
{
    memcpy(at, words, strlen(words));
    return at + strlen(words);
}

static char *put_letter(char *at, size_t letter)
{
    uint32_t c = alphabet[letter].code_point;

    if (c == '\n')
        return put(at, "\\n");
    if (c == '-')
        return put(at, "\\-");
    if (c > 0xFFFF || draw(8) == 0)
        return at + sprintf(at, "\\x{%X}", (unsigned)c);
    return at + fv_utf8_encode(c, at);
}

static char *put_class(char *at, unsigned letters)
{
    bool complement = draw(2);
    size_t i;

    /* An empty class cannot be written, but its complement can. */
    if (complement && letters == (1u << LETTERS) - 1)
        complement = false;
    at = put(at, complement ? "[^" : "[");
    for (i = 0; i < LETTERS; i++) {
        if ((letters >> i & 1) != complement)
            at = put_letter(at, i);
    }
    return put(at, "]");
}

static char *put_bounds(char *at, const struct node *node)
{
    if (node->most < 0 && node->least < 2 && draw(4))
        at = put(at, node->least ? "+" : "*");
    else if (node->most < 0)
        at += sprintf(at, "{%d,}", node->least);
    else if (node->least == 0 && node->most == 1 && draw(4))
        at = put(at, "?");
    else if (node->least == node->most && draw(4))
        at += sprintf(at, "{%d}", node->least);
    else
        at += sprintf(at, "{%d,%d}", node->least, node->most);
    return draw(4) ? at : put(at, "?");
}

static char *put_flags(char *at, const struct node *node)
{
    at = put(at, "(?");
    at = put(at, node->fold ? "i" : "");
    at = put(at, node->lines ? "m" : "");
    at = put(at, node->newline ? "s" : "");
    if (node->fold && node->lines && node->newline)
        return put(at, draw(2) ? ":" : "U:");
    at = put(at, "-");
    at = put(at, node->fold ? "" : "i");
    at = put(at, node->lines ? "" : "m");
    at = put(at, node->newline ? "" : "s");
    return put(at, ":");
}

static char *put_pattern(char *at, const struct node *node)
{
    static const char *const groups[] = { "(", "(?:", "(?P<x>", "(?<x>" };

    switch (node->kind) {
    case EMPTY:
        return put(at, draw(2) ? "(?:)" : "()");
    case CHARACTER: {
        size_t i = 0;

        while (node->letters >> i != 1)
            i++;
        return put_letter(at, i);
    }
    case DOT:
        return put(at, ".");
    case CLASS:
        return put_class(at, node->letters);
    case ASSERTION:
        if (node->assertion != '^' && node->assertion != '$')
            *at++ = '\\';
        *at++ = node->assertion;
        return at;
    case SEQUENCE:
        return put_pattern(put_pattern(at, node->left), node->right);
    case CHOICE:
        at = put_pattern(put(at, groups[draw(4)]), node->left);
        return put(put_pattern(put(at, "|"), node->right), ")");
    case REPETITION:
        at = put(put_pattern(put(at, groups[draw(4)]), node->left), ")");
        return put_bounds(at, node);
    default:
        return put(put_pattern(put_flags(at, node), node->left), ")");
    }
}

struct subject {
    size_t letters[TEXT_MAX];
    size_t length;
};

static bool is_word_at(const struct subject *subject, size_t at)
{
    return at < subject->length && alphabet[subject->letters[at]].word;
}

static bool holds_at(const struct subject *subject, size_t at, char assertion, struct flags flags)
{
    bool begin = at == 0, end = at == subject->length;
    bool boundary = (begin ? false : is_word_at(subject, at - 1)) != is_word_at(subject, at);

    switch (assertion) {
    case '^':
        return begin || (flags.lines && alphabet[subject->letters[at - 1]].code_point == '\n');
    case '$':
        return end || (flags.lines && alphabet[subject->letters[at]].code_point == '\n');
    case 'A':
        return begin;
    case 'z':
        return end;
    case 'b':
        return boundary;
    default:
        return !boundary;
    }
}

static bool is_member(unsigned letters, size_t letter, bool fold)
{
    size_t i;

    for (i = 0; i < LETTERS; i++) {
        if ((letters >> i & 1) && (i == letter || (fold && alphabet[i].same &&
                                                   alphabet[i].same == alphabet[letter].same)))
            return true;
    }
    return false;
}

static unsigned ends_of(const struct node *node, const struct subject *subject, unsigned starts,
                        struct flags flags);

static unsigned ends_of_repetition(const struct node *node, const struct subject *subject,
                                   unsigned starts, struct flags flags)
{
    unsigned ends, before;
    int i;

    for (i = 0; i < node->least; i++)
        starts = ends_of(node->left, subject, starts, flags);
    ends = starts;
    for (i = node->least; node->most < 0 || i < node->most; i++) {
        before = ends;
        starts = ends_of(node->left, subject, starts, flags);
        ends |= starts;
        if (node->most < 0 && ends == before)
            break;
    }
    return ends;
}

/* Where a match of the node may end that begins at one of `starts`; both are sets of places. */
static unsigned ends_of(const struct node *node, const struct subject *subject, unsigned starts,
                        struct flags flags)
{
    unsigned ends = 0;
    bool taken;
    size_t at;

    switch (node->kind) {
    case EMPTY:
        return starts;
    case SEQUENCE:
        return ends_of(node->right, subject, ends_of(node->left, subject, starts, flags), flags);
    case CHOICE:
        return ends_of(node->left, subject, starts, flags) |
               ends_of(node->right, subject, starts, flags);
    case REPETITION:
        return ends_of_repetition(node, subject, starts, flags);
    case FLAGS:
        return ends_of(node->left, subject, starts,
                       (struct flags){ node->fold, node->lines, node->newline });
    default:
        break;
    }

    for (at = 0; at <= subject->length; at++) {
        if (!(starts >> at & 1))
            continue;
        if (node->kind == ASSERTION) {
            if (holds_at(subject, at, node->assertion, flags))
                ends |= 1u << at;
            continue;
        }
        if (at == subject->length)
            continue;
        if (node->kind == DOT)
            taken = flags.newline || alphabet[subject->letters[at]].code_point != '\n';
        else
            taken = is_member(node->letters, subject->letters[at], flags.fold);
        if (taken)
            ends |= 1u << (at + 1);
    }
    return ends;
}

/*
 * A complement that is written under (?i) takes away the other cases of what it
 * names: without folding of the members, [^...] would say something else here.
 */
static void close_classes(bool fold, struct node *node)
{
    unsigned closed = 0;
    size_t i;

    if (node->kind == CLASS && fold) {
        for (i = 0; i < LETTERS; i++) {
            if (is_member(node->letters, i, true))
                closed |= 1u << i;
        }
        node->letters = closed;
    }
    if (node->kind == FLAGS)
        fold = node->fold;
    if (node->left)
        close_classes(fold, node->left);
    if (node->right)
        close_classes(fold, node->right);
}

static size_t draw_subject(struct subject *subject, char *text)
{
    unsigned few = draw(3);
    char *at = text;
    size_t i;

    subject->length = draw(TEXT_MAX + 1);
    for (i = 0; i < subject->length; i++) {
        subject->letters[i] = draw(few ? 3 : LETTERS);
        at += fv_utf8_encode(alphabet[subject->letters[i]].code_point, at);
    }
    return (size_t)(at - text);
}

START_TEST(random_patterns_find_what_another_way_of_matching_finds)
{
    char pattern[8192], text[4 * TEXT_MAX];
    const struct fv_regex *regex;
    struct subject subject;
    struct flags flags = { false, false, false };
    size_t round, k, length, found = 0, compared = 0;
    struct node *node;
    bool expected;

    random_state = 2463534242u + (uint32_t)_i;
    for (round = 0; round < 1500; round++) {
        node_count = 0;
        flags.fold = draw(3) == 0;
        node = grow((int)draw(6));
        close_classes(flags.fold, node);
        *put_pattern(pattern, node) = 0;
        regex = compile(pattern, flags.fold);

        for (k = 0; k < 6; k++) {
            length = draw_subject(&subject, text);
            expected = ends_of(node, &subject, (2u << subject.length) - 1, flags) != 0;
            if (fv_regex_search(regex, text, length) != expected)
                ck_abort_msg("/%s/%s on \"%.*s\"", pattern, flags.fold ? "i" : "", (int)length,
                             text);
            found += expected;
            compared++;
        }
        tear_down();
    }
    /* Neither answer is so rare that the comparison would say nothing. */
    ck_assert_uint_gt(found, compared / 5);
    ck_assert_uint_lt(found, compared - compared / 5);
}
END_TEST

/* The same texts, with each stray byte written as the character it stands for. */
START_TEST(stray_bytes_change_no_answer_that_the_replacement_would_not)
{
    static const char *const patterns[] = {
        "é",      "^\\x{FFFD}+$", "[^é]é", "(?i)É",     "a\\x{FFFD}", "(?i)a\\x{FFFD}",
        "\\W\\b", "[é-ü]|a.a",    "\\Ba",  "(?i)[^a]$", "..a",        "[\\x{FF00}-\\x{10FFFF}]a",
    };
    static const char bytes[] = { 'a', '\xC3', '\xA9', '\x89', '\xEF', '\xBF', '\xBD', '\xF0' };
    const struct fv_regex *regex = compile(patterns[_i], false);
    char text[10], clean[30], *end;
    size_t round, length, i;
    const char *at;

    random_state = 99;
    for (round = 0; round < 20000; round++) {
        length = draw(sizeof text + 1);
        for (i = 0; i < length; i++)
            text[i] = bytes[draw(sizeof bytes)];
        for (at = text, end = clean; at < text + length;)
            end += fv_utf8_encode(fv_utf8_next(&at, text + length), end);
        if (fv_regex_search(regex, text, length) !=
            fv_regex_search(regex, clean, (size_t)(end - clean)))
            ck_abort_msg("/%s/ on text %zu", patterns[_i], round);
    }
}
END_TEST

static Suite *regex_suite(void)
{
    Suite *suite = suite_create("regex");
    TCase *tests = tcase_create("regex");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 30);
    tcase_add_loop_test(tests, a_pattern_finds_what_the_table_says, 0, (int)COUNT(rows));
    tcase_add_loop_test(tests, a_pattern_is_refused_with_the_place_and_the_reason, 0,
                        (int)COUNT(refused));
    tcase_add_test(tests, fold_is_as_if_the_pattern_began_with_i);
    tcase_add_test(tests, a_nul_is_a_character_like_any_other);
    tcase_add_test(tests, an_empty_text_or_pattern_may_be_null);
    tcase_add_loop_test(tests, a_byte_that_is_no_utf8_is_one_replacement_character, 0,
                        (int)COUNT(stray_rows));
    tcase_add_test(tests, a_thousand_groups_may_be_nested_and_no_more);
    tcase_add_test(tests, a_pattern_may_come_to_five_thousand_steps_and_no_more);
    tcase_add_test(tests, a_pattern_may_have_32768_bytes_and_no_more);
    tcase_add_loop_test(tests, reading_a_hostile_pattern_is_quick, 0, 9);
    tcase_add_test(tests, a_class_of_many_scattered_members_is_read_in_any_order);
    tcase_add_test(tests, a_set_keeps_its_ranges_apart_and_in_order);
    tcase_add_loop_test(tests, a_search_takes_linear_time, 0, (int)COUNT(hostile));
    tcase_add_loop_test(tests, each_allocation_may_fail_and_nothing_leaks, 0,
                        (int)COUNT(memory_rows));
    tcase_add_loop_test(tests, random_patterns_find_what_another_way_of_matching_finds, 0, 5);
    tcase_add_loop_test(tests, stray_bytes_change_no_answer_that_the_replacement_would_not, 0, 12);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(regex_suite());
}
