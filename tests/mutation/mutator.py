"""Small changes of C source: finds all that can be made to a text.

A change keeps the number of lines, so that nothing but itself tells the two programs apart. It
works on tokens, not on a parse tree: a change that does not compile is thrown away by the runner.
"""

import collections
import re

# kind: what was done, in two words; start and end: the part of the text that `new` replaces
Change = collections.namedtuple("Change", "kind start end new")
Token = collections.namedtuple("Token", "kind text start end")

TOKENS = re.compile(r"""
    (?P<space>\s+|/\*.*?\*/|//[^\n]*|\\\n)
  | (?P<directive>(?<![^\n])\#(?:\\\n|[^\n])*)
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<char>'(?:\\.|[^'\\\n])*')
  | (?P<number>\.?\d(?:[eE][+-]|[\w.])*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<operator><<=|>>=|\.\.\.|->|\+\+|--|&&|\|\||[-+*/%&|^=!<>]=|<<|>>|.)
""", re.VERBOSE | re.DOTALL)

KEYWORDS = set("""auto break case char const continue default do double else enum extern float for goto if
    inline int long register return short signed sizeof static struct switch typedef union unsigned
    void volatile while _Static_assert static_assert""".split())
SWAPS = {"<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"], "==": ["!="], "!=": ["=="],
         "&&": ["||"], "||": ["&&"], "+": ["-"], "-": ["+"], "+=": ["-="], "-=": ["+="], "<<": [">>"], ">>": ["<<"]}
COMPARES = {"<", "<=", ">", ">=", "==", "!="}
ERRORS = ["EINVAL", "EIO"]
OPENING, CLOSING = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
# Not observable, or no code at all.
UNTOUCHED = {"PORTOLAN_ASSERT", "_Static_assert", "static_assert", "__attribute__"}


def tokens_of(text):
    return [Token(match.lastgroup, match.group(), match.start(), match.end())
            for match in TOKENS.finditer(text) if match.lastgroup not in ("space", "directive")]


def blank(text):
    """As many lines of nothing as `text` has."""
    return "\n" * text.count("\n")


class Source:
    """One file: its tokens, their partners among the brackets, and the function each stands in."""

    def __init__(self, text):
        self.text, self.tokens = text, tokens_of(text)
        self.partner, self.inside = self.match_brackets()
        self.functions = self.find_functions()
        self.untouched = self.find_untouched()

    def match_brackets(self):
        partner, inside, open_ones = {}, [], []
        for i, token in enumerate(self.tokens):
            if token.text in CLOSING and open_ones:
                first = open_ones.pop()
                partner[first], partner[i] = i, first
            inside.append(open_ones[-1] if open_ones else None)
            if token.text in OPENING:
                open_ones.append(i)
        return partner, inside

    def find_functions(self):
        """Ranges of tokens at the outermost level, each with its name: functions, and tables."""
        found, i, name = [], 0, ""
        while i < len(self.tokens):
            token = self.tokens[i]
            if token.text == "(" and i and self.tokens[i - 1].kind == "word" and self.inside[i] is None:
                name = self.tokens[i - 1].text
            elif token.text == "=" and self.inside[i] is None:
                words = [t.text for t in self.tokens[max(0, i - 6):i] if t.kind == "word"]
                name = words[-1] if words else ""
            elif token.text == ";" and self.inside[i] is None:
                name = ""
            if token.text in OPENING and i in self.partner:
                if token.text == "{" and name:
                    is_code = self.tokens[i - 1].text == ")"
                    found.append((i, self.partner[i], name, is_code))
                i = self.partner[i]
            i += 1
        return found

    def find_untouched(self):
        skipped = set()
        for i, token in enumerate(self.tokens[:-1]):
            if token.text in UNTOUCHED and i + 1 in self.partner:
                skipped.update(range(i, self.partner[i + 1] + 1))
        return skipped

    def at(self, i):
        return self.tokens[i].text if 0 <= i < len(self.tokens) else ""

    def function_at(self, offset):
        for first, last, name, _ in self.functions:
            if self.tokens[first].start <= offset <= self.tokens[last].end:
                return name
        return "-"

    def statement_end(self, i):
        """The index of the `;` that ends the expression statement which begins at i."""
        while i < len(self.tokens):
            if self.at(i) == ";":
                return i
            if self.at(i) in CLOSING or self.at(i) == "{":
                return None
            i = self.partner.get(i, i) + 1
        return None

    def constants_like(self, name):
        """Two neighbours of `name` among the constants of this file that begin as it does."""
        family = name.split("_")[0] + "_"
        others = {t.text for t in self.tokens if t.text.startswith(family) and t.text.isupper()} | {name}
        order = sorted(others)
        at = order.index(name)
        return {order[at - 1], order[(at + 1) % len(order)]} - {name}


def changes_of(source):
    for first, last, _, is_code in source.functions:
        for i in range(first, last + 1):
            if i in source.untouched:
                continue
            yield from changed_tokens(source, i)
            if is_code:
                yield from changed_statements(source, i)


def is_array_size(source, i):
    """Whether the number at i is the size of an array that is declared."""
    return (source.at(i - 1) == "[" and source.at(i + 1) == "]" and source.tokens[i - 2].kind == "word"
            and (source.tokens[i - 3].kind == "word" or source.at(i - 3) in ("*", ",")))


def is_binary(source, i):
    before = source.tokens[i - 1]
    return (before.kind != "operator" and before.text not in KEYWORDS) or before.text in (")", "]")


def changed_tokens(source, i):
    """Operators, constants, strings, flags."""
    token = source.tokens[i]
    if token.kind == "number" and not is_array_size(source, i) and not compares_descriptor(source, i - 1):
        yield from changed_number(token)
    elif token.kind == "string":
        yield from changed_string(token)
    elif token.text in ("true", "false"):
        yield Change("constant", token.start, token.end, "false" if token.text == "true" else "true")
    elif token.text in SWAPS and is_binary(source, i) and not compares_descriptor(source, i):
        kind = "comparison" if token.text in COMPARES else "operator"
        for new in SWAPS[token.text]:
            yield Change(kind, token.start, token.end, new)
    elif token.text == "!":
        yield Change("negation", token.start, token.end, "")
    elif token.text == "|" and source.tokens[i + 1].kind == "word":
        end = source.tokens[i + 1].end
        yield Change("flag", token.start, end, blank(source.text[token.start:end]))
    elif token.kind == "word" and re.fullmatch("E[A-Z0-9]{3,}", token.text):
        for new in ERRORS:
            if new != token.text:
                yield Change("error code", token.start, token.end, new)


def compares_descriptor(source, i):
    """Whether this asks if a descriptor was got. 0 is none: the standard streams are open."""
    return (source.tokens[i - 1].text.endswith("fd") and source.at(i) in ("<", ">=") and source.at(i + 1) == "0"
            and source.at(i + 2) in (")", ";", "?", "&&", "||"))


def changed_number(token):
    match = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)", token.text)
    if match is None:
        return
    value = int(match.group(1), 0) if not re.fullmatch("0[0-7]+", match.group(1)) else int(match.group(1), 8)
    for new in sorted({value + 1, value - 1} - {-1}):
        yield Change("constant", token.start, token.end, f"{new}{match.group(2)}")


def changed_string(token):
    """One letter of the text is another; conversions and escapes stay."""
    letters = [match.start() for match in re.finditer(
        r"(?P<skip>\\x[0-9a-fA-F]+|\\.|%%|%[-+ #0-9.*hlzjt]*[a-zA-Z])|[A-Za-z]", token.text)
        if match.group("skip") is None]
    for at in sorted({letters[len(letters) // 3], letters[-1]}) if letters else ():
        new = "q" if token.text[at] != "q" else "j"
        yield Change("string", token.start + at, token.start + at + 1, new)


def changed_statements(source, i):
    """Conditions, returns, and whole statements that go."""
    text = source.at(i)
    if text == "if" and source.at(i + 1) == "(":
        closing = source.tokens[source.partner[i + 1]]
        condition = source.text[source.tokens[i + 1].start:closing.end]
        yield Change("negated condition", source.tokens[i + 1].start, closing.end, f"(!{condition})")
    elif text == "else" and source.at(i + 1) != "if":
        block = source.at(i + 1) == "{"
        end = source.partner[i + 1] if block else source.statement_end(i + 1)
        if end is not None:
            whole = source.text[source.tokens[i].start:source.tokens[end].end]
            yield Change("no else", source.tokens[i].start, source.tokens[end].end, blank(whole))
    elif text == "return":
        yield from changed_return(source, i)
    elif text in ("break", "continue") and source.at(i + 1) == ";":
        yield Change("removed " + text, source.tokens[i].start, source.tokens[i].end, "")
    elif begins_statement(source, i):
        end = source.statement_end(i)
        if end is not None and source.at(source.inside[i]) == "{":
            whole = source.text[source.tokens[i].start:source.tokens[end].start]
            yield Change("removed statement", source.tokens[i].start, source.tokens[end].start, blank(whole))


def begins_statement(source, i):
    """Whether an expression stands here for what it does: a call, an assignment."""
    before, token = source.at(i - 1), source.tokens[i]
    if source.inside[i] is None or before not in (";", "{", "}", ")", "else", ":"):
        return False
    if before == ")" and source.at(source.partner[i - 1] - 1) not in ("if", "for", "while"):
        return False
    if token.text in ("*", "++", "--"):
        return True
    if token.text == "(":
        return source.at(i + 1) == "void" and source.at(i + 2) == ")"
    return (token.kind == "word" and token.text not in KEYWORDS
            and source.at(i + 1) in ("(", "->", ".", "=", "[", "++", "--", "+=", "-=", "|=", "&=", "^="))


def changed_return(source, i):
    end = source.statement_end(i)
    if end is None or end == i + 1:
        return
    start, stop = source.tokens[i + 1].start, source.tokens[end].start
    value = source.text[start:stop]
    if re.fullmatch(r"[A-Z][A-Z0-9_]+", value):
        for new in sorted(source.constants_like(value)):
            yield Change("other return", start, stop, new)
    elif end > i + 2 and any(source.at(j) in COMPARES | {"&&", "||", "!"} for j in range(i + 1, end)):
        yield Change("negated return", start, stop, f"!({value})")
    elif value not in ("0", "NULL", "true", "false"):
        yield Change("other return", start, stop, "0" + blank(value))
