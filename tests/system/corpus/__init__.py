"""What stock epmd and ours are asked alike, by family. `all_cases()` is the whole corpus."""

from corpus import (
    endings,
    framing,
    listing,
    lookups,
    mutations,
    operators,
    peers,
    registration,
    text,
)


def all_cases():
    families = (framing, registration, text, lookups, listing, operators, endings, peers, mutations)
    cases = [case for family in families for case in family.cases()]
    twice = {case.name for case in cases if sum(other.name == case.name for other in cases) > 1}
    assert not twice, f"two cases of one name: {sorted(twice)}"
    return cases
