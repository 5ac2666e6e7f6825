"""Requests that a seeded generator changed in a few bytes: what nobody thought of."""

import random

from corpus.common import fresh
from scenario import Case, hear, say
from wire import alive, port_please

SEED = 4369
COUNT = 200
NOT_SHARED = b"ndks"  # operations that would show or end the shared daemon


def cases():
    generator = random.Random(SEED)
    made = 0
    while made < COUNT:
        name = fresh("m")
        request = mutate(
            generator,
            generator.choice(
                [alive(name, extra=b"extra"), alive(name + "\u00e9\u20ac"), port_please(name)]
            ),
        )
        if any(byte in NOT_SHARED for byte in request[2:3]):
            continue
        made += 1
        yield Case(
            f"mutation {made}", [say(request), hear(), say(port_please(name), "b"), hear("b")]
        )


def mutate(generator, request):
    data = bytearray(request)
    for _ in range(generator.randint(1, 3)):
        at = generator.randrange(len(data))
        kind = generator.choice(["flip", "set", "cut", "drop", "insert", "double"])
        if kind == "flip":
            data[at] ^= 1 << generator.randrange(8)
        elif kind == "set":
            data[at] = generator.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == "cut" and len(data) > 3:
            del data[at:]
        elif kind == "drop" and len(data) > 3:
            del data[at]
        elif kind == "insert":
            data.insert(at, generator.randrange(256))
        elif kind == "double":
            data[at:at] = data[at : at + 4]
        if len(data) < 3:
            break
    if generator.random() < 0.5 and len(data) > 2:
        data[:2] = (len(data) - 2).to_bytes(2, "big")  # half of them keep an honest length
    return bytes(data)
