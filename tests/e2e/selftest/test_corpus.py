"""The comparison of what the real clients sent with what came out: it sees every difference."""
import copy

import client_corpus as corpus

T = 1700000000 * 10**9 + 5


def came_out(number, profile):
    record = corpus.RECORDS[number]
    got = copy.deepcopy(corpus.expected("r", number, profile))
    got.update(time=record.time or T, observed=T)
    return got


def refused(got, number, profile, word):
    try:
        corpus.check(got, "r", number, profile, (T, T))
    except AssertionError as e:
        assert word in str(e), "%s: %s" % (word, e)
    else:
        raise RuntimeError("record %d: not seen: %s" % (number, word))


def test_right(ctx):
    for profile in (corpus.Profile(), corpus.JavaScript(), corpus.MsgpackLite(), corpus.Go(),
                    corpus.GoJson()):
        numbers = corpus.sayable(profile)
        assert len(numbers) > 50, profile
        for number in numbers:
            corpus.check(came_out(number, profile), "r", number, profile, (T, T))


def change(value):
    """Every way to change one leaf of a value."""
    if isinstance(value, (dict, list)) and value:
        for key in value if isinstance(value, dict) else range(len(value)):
            for other in change(value[key]):
                copied = copy.copy(value)
                copied[key] = other
                yield copied
    elif isinstance(value, bool):
        yield int(value)
    elif isinstance(value, int):
        yield from (value + 1, float(value), str(value))
    elif isinstance(value, str):
        yield from (value + "x", value.encode(), None)
    else:
        yield "x"


def test_wrong(ctx):
    profile = corpus.Profile()
    for number in range(len(corpus.RECORDS)):
        if sum(len(str(v)) for v in corpus.RECORDS[number].fields.values()) > 5000:
            continue
        right = came_out(number, profile)
        for what in corpus.expected("r", number, profile):
            for value in change(right[what]):
                refused(dict(right, **{what: value}), number, profile, "r, record %d: %s" % (
                    number, what))
        for key in right["attributes"]:
            less = {k: v for k, v in right["attributes"].items() if k != key}
            refused(dict(right, attributes=less), number, profile, "is missing")
        more = dict(right["attributes"], more=1)
        refused(dict(right, attributes=more), number, profile, "should not be there")
        refused(dict(right, time=right["time"] + 1), number, profile, "time")
