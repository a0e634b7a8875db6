// SPDX-License-Identifier: Apache-2.0
import Testing

/// The lexical rules of `scan.l`, seen through the patterns they lead to.
struct LexicalRuleTests {
    @Test(arguments: [
        // Comments.
        ("select /* a /* b */ c */ 1", "select ?"), ("select 1 --x\r, 2", "select ?, ?"), ("a --", "a"),
        ("a /**/ b", "a b"),
        ("a/**/b", "a b"), ("/*/ x */ a", "a"), ("a +/* c */ b", "a + b"), ("a *--c\n b", "a * b"),
        // Strings.
        ("'a''b'", "?"), ("'a' 'b'", "? ?"), ("'a'\n'b'", "?"), ("'a' -- c\n 'b'", "?"), ("'a' /* c */\n 'b'", "? ?"),
        ("'a'\n-- c\n\n'b'\n'c'", "?"), ("e'\\''", "?"), ("E'\\\\' x", "? x"), ("E'a\\'b'\n'c\\'d' x", "? x"),
        ("e '\\'", "e ?"),
        ("b'01' x'fF' n'a' N'b'", "? ? ? ?"), ("fe'\\'", "fe ?"), ("_e'a'", "_e ?"),
        ("u&'d!0061' uescape '!' x", "? x"), ("U&'a' /* c */ UESCAPE '!', 1", "?, ?"), ("u& 'a'", "u & ?"),
        ("U&\"d!0061\" uescape '!' x", "U&\"d!0061\" x"), ("'a' uescape '!'", "? uescape ?"),
        // Dollar quotes.
        ("$$a'b$$", "?"), ("$x$ $$ $y$ $x$ b", "? b"), ("$é$ $é$", "?"), ("$x$ $x $x$", "?"), ("a$b$c", "a$b$c"),
        ("$1$x$ y $x$", "? ?"), ("1$x$ y $x$", "? ?"), ("$x$ $X$ $x$", "?"), ("$ 1", "$ ?"), ("$1 $23", "? ?"),
        ("$1abc", "?"),
        // Identifiers.
        ("Ab_9$ ÄB", "ab_9$ Äb"), ("\"a\"\"b\"", "\"a\"\"b\""), ("\"ab\"", "ab"), ("\"Ab\"", "\"Ab\""),
        ("\"9a\"", "\"9a\""),
        ("\"table\"", "\"table\""), ("\"name\"", "name"), ("\"\"", "\"\""), ("\"a\nb\\\"", "U&\"a\\000Ab\\\\\""),
        ("\"a\"b", "a b"),
        // Numbers.
        ("1 1. 1.5 .5 1e5 1.5e-3 5.e+3", "? ? ? ? ? ? ?"), ("0x1F 0o17 0b11 1_000 1_0.0_1", "? ? ? ? ?"),
        ("1..2", "? .. ?"),
        ("1.5.6", "? ?"), ("0x1e-5", "? - ?"), ("1e-x", "? - x"), ("1e - 5", "? - ?"), ("1abc", "?"), ("a.5", "a ?"),
        ("a.b", "a.b"),
        // Operators.
        ("a->>'b'", "a ->> ?"), ("a<-1", "a < ?"), ("a@-1", "a @- ?"), ("a=-1", "a = ?"), ("a!=b", "a <> b"),
        ("a*-b", "a * - b"),
        ("a<=>b", "a <=> b"), ("a||-1", "a ||- ?"), ("a+-+-1", "a + - + ?"), ("a--1", "a"), ("a ? 'b'", "a ? ?"),
        ("a := b", "a := b"),
        ("a::b", "a::b"), ("a : b", "a : b"), ("a => 1", "a => ?"), ("a ~~* 'b'", "a ~~* ?"), ("a &&/*c*/ b", "a && b"),
        // Signs.
        ("- 5", "?"), ("- - 5", "?"), ("-5::int", "- ?::int"), ("-5[1]", "- ? [?]"), ("-5^2", "- ? ^ ?"),
        ("-5 ^@ 2", "? ^@ ?"),
        ("a -5", "a - ?"), ("(a) -5", "(a) - ?"), ("\"A\" -5", "\"A\" - ?"), ("5 -5", "? - ?"), ("+5", "+ ?"),
        ("-a", "- a"),
        ("select -5", "select ?"), ("end -5", "end - ?"), ("limit -5", "limit ?"), ("-", "-"), ("- -", "- -"),
        ("-$1", "- ?"),
        // What is nothing.
        ("\u{1}", "\\x01"), ("a \\ b", "a \\ b"), ("{a}", "{ a }"), ("\u{0}", "\\x00"),
        ("'a", "<unterminated>"), ("$a$ $", "<unterminated>"), ("\"a", "<unterminated>"),
        ("a /* /* */", "a <unterminated>"),
        ("E'a\\'", "<unterminated>"), ("U&\"a", "<unterminated>"), ("b'0", "<unterminated>"),
    ])
    func `a text is cut as the server cuts it`(_ sql: String, _ pattern: String) {
        #expect(NormalizerTests.pattern(sql) == pattern)
    }

    @Test(arguments: [
        ("select null, true, false", "select ?, ?, ?"),
        ("select a is null, b is not true", "select a is null, b is not true"),
        ("select not true, not null", "select not ?, not null"),
        ("select a as null, t.true", "select a as null, t.true"),
        ("create table t (a int not null default true)", "create table t(a int not null default true)"),
        ("create view v as select null", "create view v as select ?"),
        ("create table t as values (null)", "create table t as values (?)"),
        (
            "alter table t add foreign key (a) references u on delete set null",
            "alter table t add foreign key(a) references u on delete set null"
        ),
        ("update t set a = null", "update t set a = ?"),
    ])
    func `constants of queries are literals, words of definitions are not`(_ sql: String, _ pattern: String) {
        #expect(NormalizerTests.pattern(sql) == pattern)
    }

    @Test(arguments: [
        ("a in (1, 2, 3)", "a in (?)"), ("a in (1, b, b, 2, 3)", "a in (?, b, ?)"),
        ("a in ('x'::u, 'y'::u)", "a in (?::u)"),
        ("select a in (-1, 2, null)", "select a in (?)"), ("a in ((1, 2), (3, 4))", "a in ((?))"),
        ("a in (select 1, 2, 3 from t)", "a in (select ?, ?, ? from t)"),
        ("f(1, 2, 3)", "f(?, ?, ?)"), ("array[1, 2, 3]", "array[?]"), ("array[[1, 2], [3, 4]]", "array[[?], [?]]"),
        ("array[1, a, 2, 3]", "array[?, a, ?]"),
        ("values (1, 2), (3, 4)", "values (?)"), ("values (1, a), (2, a), (3, b), (4, a)", "values (?, a), (?, b)"),
        ("values (1, f(2, 3)), (4, f(5, 6))", "values (?, f(?, ?))"), ("values (1), (1, a), (2)", "values (?), (?, a)"),
        ("values (default), (1), (default)", "values (default), (?)"), ("values (1), b", "values (?), b"),
        ("(1, 2), (3, 4)", "(?), (?)"),
        ("row(1, 2)", "row(?, ?)"), ("f((1, 2), 3)", "f((?), ?)"), ("in (1, 2", "in (?, ?"),
        ("in (1,,2)", "in (?,, ?)"),
        ("values (1,), (2,)", "values (?,)"),
        ("in (1 2, 1 2)", "in (? ?)"), ("in (1,2]", "in (?]"),
        ("in (b, values (1), (1), (1), (1), 2)", "in (b, values (?), ?)"),
    ])
    func `lists of literals are short`(_ sql: String, _ pattern: String) {
        #expect(NormalizerTests.pattern(sql) == pattern)
    }
}
