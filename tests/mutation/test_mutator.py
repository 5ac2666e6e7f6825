"""What the mutator makes of C: `make check-mutator`."""

import re
import unittest

import mutator


def changed(body, head="static int f(int a, int b)"):
    """kind -> the bodies that a function with this one may become."""
    text = f"{head} {{ {body} }}"
    found = {}
    for change in mutator.changes_of(mutator.Source(text)):
        new = text[:change.start] + change.new + text[change.end:]
        assert new.count("\n") == text.count("\n"), change
        found.setdefault(change.kind, set()).add(re.fullmatch(re.escape(head) + r" \{ (.*) \}", new, re.S).group(1))
    return found


class Changes(unittest.TestCase):
    def test_a_comparison_moves_its_edge_or_turns_round(self):
        self.assertEqual(changed("a < b;")["comparison"], {"a <= b;", "a >= b;"})
        self.assertEqual(changed("a == b;")["comparison"], {"a != b;"})

    def test_a_descriptor_is_negative_or_was_got(self):
        self.assertEqual(set(changed("if (fd < 0) g();")), {"negated condition", "removed statement"})

    def test_and_is_or(self):
        self.assertEqual(changed("g(a && b);")["operator"], {"g(a || b);"})

    def test_a_sign_is_no_operator(self):
        self.assertEqual(changed("g(-a);").get("operator"), None)
        self.assertEqual(changed("return -a;").get("operator"), None)
        self.assertEqual(changed("g(a) - b;")["operator"], {"g(a) + b;"})

    def test_a_number_is_one_more_or_less_and_never_below_zero(self):
        self.assertEqual(changed("g(0x10U);")["constant"], {"g(17U);", "g(15U);"})
        self.assertEqual(changed("g(0);")["constant"], {"g(1);"})
        self.assertEqual(changed("g(true);")["constant"], {"g(false);"})

    def test_the_size_of_an_array_stays(self):
        self.assertEqual(changed("char text[10];"), {})
        self.assertIn("constant", changed("a = text[10];"))

    def test_a_condition_is_negated(self):
        self.assertEqual(changed("if (a) g();")["negated condition"], {"if (!(a)) g();"})

    def test_statements_go_and_declarations_stay(self):
        self.assertEqual(changed("g(a); int c = g(b); h->x = 1;")["removed statement"],
                         {"; int c = g(b); h->x = 1;", "g(a); int c = g(b); ;"})
        self.assertEqual(changed("for (;;) (void)g(a);")["removed statement"], {"for (;;) ;"})
        self.assertEqual(changed("for (;;) { continue; }")["removed continue"], {"for (;;) { ; }"})

    def test_a_last_else_goes(self):
        self.assertEqual(changed("if (a) g(); else h();")["no else"], {"if (a) g(); "})
        self.assertEqual(changed("if (a) g(); else if (b) h();").get("no else"), None)

    def test_a_return_gives_something_else(self):
        self.assertEqual(changed("return g(a);")["other return"], {"return 0;"})
        self.assertEqual(changed("return a && b;")["negated return"], {"return !(a && b);"})
        self.assertEqual(changed("if (a) return SORT_A; return SORT_B;")["other return"],
                         {"if (a) return SORT_B; return SORT_B;", "if (a) return SORT_A; return SORT_A;"})

    def test_an_error_is_another(self):
        self.assertEqual(changed("g(-ENOMEM);")["error code"], {"g(-EINVAL);", "g(-EIO);"})

    def test_a_text_changes_and_its_conversions_stay(self):
        self.assertEqual(changed(r'g("%s\n");'), {"removed statement": {";"}})
        self.assertEqual(changed(r'g("to %zu\n");')["string"], {r'g("qo %zu\n");', r'g("tq %zu\n");'})

    def test_a_flag_is_dropped(self):
        self.assertEqual(changed("g(O_A | O_B);")["flag"], {"g(O_A );"})

    def test_comments_directives_and_assertions_are_left_alone(self):
        self.assertEqual(changed("/* a < 1 */\n#define X 1\n// 2\nPORTOLAN_ASSERT(a < 1);"), {})

    def test_a_change_over_lines_keeps_them(self):
        self.assertEqual(changed("g(a,\n b);")["removed statement"], {"\n;"})

    def test_tables_are_changed_and_their_name_is_known(self):
        source = mutator.Source('static const char *const words[] = {"on"};\nint g(void) { return 1; }\n')
        self.assertEqual({(source.function_at(change.start), change.kind) for change in mutator.changes_of(source)},
                         {("words", "string"), ("g", "constant"), ("g", "other return")})


if __name__ == "__main__":
    unittest.main()
