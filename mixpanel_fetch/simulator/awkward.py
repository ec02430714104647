"""Profiles that are legal and nasty: what breaks exports in practice, byte by byte."""

from __future__ import annotations

from collections.abc import Iterator

from mixpanel_fetch.simulator.population import RawProfile

_DEEP = "[" * 60 + "1" + "]" * 60
_DEEP_OBJECT = '{"k":' * 60 + "null" + "}" * 60
_TYPES = ("1", "1.5", '"1"', "true", "null", "[1]", '{"one":1}', '"2026-01-31T00:00:00"')

# What is odd, and the members that follow the id; @ stands for the row's number.
_MEMBERS: tuple[tuple[str, str], ...] = tuple(
    (note, f'"$properties":{{{properties}}}')
    for note, properties in (
        ("integer beyond 2^53", '"n":9007199254740993'),
        ("integer 2^63 - 1", '"n":9223372036854775807'),
        ("integer 2^63", '"n":9223372036854775808'),
        ("integer -2^63 - 1", '"n":-9223372036854775809'),
        ("integer beyond 2^64", '"n":18446744073709551617'),
        ("integer of 40 digits", '"n":1234567890123456789012345678901234567890'),
        ("minus zero", '"n":-0'),
        ("minus zero as a float", '"n":-0.0'),
        ("trailing zero", '"n":1.10'),
        ("1e308", '"n":1e308'),
        ("1E+2 in capitals", '"n":1E+2'),
        ("smallest float", '"n":5e-324'),
        ("float of 19 digits", '"n":0.1234567890123456789'),
        ("float of 19 digits before the point", '"n":1234567890123456789.5'),
        ("integer as a float", '"n":3.0'),
        ("key with a dollar", '"$custom":1,"pa$t":2,"$":3'),
        ("key with dots", '"a.b":1,"a":{"b":2},".":3'),
        ("key with quotes", r'"say \"hi\"":1,"it' + r"'s" + '":2'),
        ("key with backslashes", r'"C:\\dir\\":1,"\\":2'),
        ("key with control characters", r'"tab\there":1,"line\nbreak":2'),
        ("key with brackets and spaces", '"a[0]":1," lead":2,"trail ":3,"a b":4'),
        ("keys that differ in case", '"username":"a","userName":"b","USERNAME":"c"'),
        ("empty key", '"":"nothing"'),
        ("key in other scripts", '"na\u00efve":1,"\u540d\u524d":2,"\U0001f600":3'),
        ("key of 300 characters", f'"{"k" * 300}":1'),
        ("keys that look like numbers", '"0":1,"1":2,"-1":3,"1e3":4'),
        ("NUL in a value", r'"text":"a\u0000b"'),
        ("NUL alone", r'"text":"\u0000"'),
        ("control characters in a value", r'"text":"\u0001\u001f\u007f\b\f\n\r\t"'),
        ("lone high surrogate", r'"text":"\ud800"'),
        ("lone low surrogate", r'"text":"x\udfffy"'),
        ("surrogates the wrong way round", r'"text":"\ude00\ud83d"'),
        ("emoji as an escaped pair", r'"text":"\ud83d\ude00"'),
        ("emoji as itself", '"text":"\U0001f468\u200d\U0001f469\u200d\U0001f467"'),
        ("right to left", '"text":"\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd"'),
        ("direction override", r'"text":"\u202eabc\u202c"'),
        ("combining marks", '"text":"e\u0301","other":"\u00e9"'),
        ("escaped slash", r'"text":"a\/b"'),
        ("line separators", r'"text":"\u2028\u2029"'),
        ("byte order mark", r'"text":"\ufeffx"'),
        ("lists nested 60 deep", f'"deep":{_DEEP}'),
        ("objects nested 60 deep", f'"deep":{_DEEP_OBJECT}'),
        ("list of objects", '"cart":[{"sku":"a","n":1},{"sku":"b"},{}]'),
        ("list of mixed types", '"list":[1,"1",1.0,true,null,[],{}]'),
        ("empty containers", '"list":[],"object":{},"text":""'),
        ("no properties at all", ""),
        ("null property", '"plan":null'),
        ("text that means null", '"$name":"<null>","$email":"<undefined>","$os":"undefined"'),
        ("text that looks like SQL", '"text":"\'); DROP TABLE profiles;--"'),
        ("text that looks like JSON", r'"text":"{\"a\": [1, 2]}","number":"007"'),
        ("text of 70,000 characters", f'"text":"{"x" * 70_000}"'),
        ("property named distinct_id", '"distinct_id":"not the id","$distinct_id":"neither"'),
        ("property named properties", '"properties":{"a":1},"$properties":{"b":2}'),
        ("property named last_seen", '"last_seen":"never","$last_seen":"2026-05-01T10:00:00"'),
        ("order of keys", '"z":1,"a":2,"m":3,"A":4,"0":5'),
        ("white space between tokens", '  "a" :\t1 , "b" : [ 1 , 2 ]  '),
        ("$last_seen as it should be", '"$last_seen":"2026-03-04T05:06:07"'),
        ("$last_seen missing", '"$city":"Oslo"'),
        ("$last_seen unparsable", '"$last_seen":"yesterday"'),
        ("$last_seen of February 30th", '"$last_seen":"2026-02-30T00:00:00"'),
        ("$last_seen with Z", '"$last_seen":"2026-03-04T05:06:07Z"'),
        ("$last_seen with a zone", '"$last_seen":"2026-03-04T05:06:07+02:00"'),
        ("$last_seen with fractions", '"$last_seen":"2026-03-04T05:06:07.123456"'),
        ("$last_seen with nine digits", '"$last_seen":"2026-03-04T05:06:07.123456789"'),
        ("$last_seen a date", '"$last_seen":"2026-03-04"'),
        ("$last_seen with a space", '"$last_seen":"2026-03-04 05:06:07"'),
        ("$last_seen infinity", '"$last_seen":"infinity"'),
        ("$last_seen epoch", '"$last_seen":"epoch"'),
        ("$last_seen a number", '"$last_seen":1772600767'),
        ("$last_seen null", '"$last_seen":null'),
        ("$last_seen empty", '"$last_seen":""'),
        ("$last_seen in year 1", '"$last_seen":"0001-01-01T00:00:00"'),
        ("$last_seen in year 9999", '"$last_seen":"9999-12-31T23:59:59"'),
        ("$last_seen a list", '"$last_seen":["2026-03-04T05:06:07"]'),
        ("many properties", ",".join(f'"p{number}":{number}' for number in range(500))),
    )
)

# Whole profiles, where the oddity is outside the properties.
_PROFILES: tuple[tuple[str, str], ...] = (
    ("$properties absent", '{"$distinct_id":"awkward-@"}'),
    ("$properties null", '{"$distinct_id":"awkward-@","$properties":null}'),
    ("integer id", '{"$distinct_id":10@,"$properties":{"id":"int"}}'),
    ("id beyond 2^53", '{"$distinct_id":900719925474@,"$properties":{"id":"big"}}'),
    ("id beyond 2^64", '{"$distinct_id":1844674407370955@,"$properties":{"id":"huge"}}'),
    ("float id", '{"$distinct_id":1@.5,"$properties":{"id":"float"}}'),
    ("negative id", '{"$distinct_id":-10@,"$properties":{}}'),
    ("device id", '{"$distinct_id":"$device:@-4a5b-8c","$properties":{}}'),
    ("numeric id as text", '{"$distinct_id":"20@","$properties":{}}'),
    ("id with quotes", '{"$distinct_id":"a\\"b\'c\\\\@","$properties":{}}'),
    ("id with spaces", '{"$distinct_id":" @ ","$properties":{}}'),
    ("id with emoji", '{"$distinct_id":"\U0001f600@","$properties":{}}'),
    ("id with NUL", '{"$distinct_id":"nul\\u0000@","$properties":{}}'),
    ("long id", f'{{"$distinct_id":"{"i" * 255}@","$properties":{{}}}}'),
    ("properties before the id", '{"$properties":{"a":1},"$distinct_id":"awkward-@"}'),
    ("a member nobody knows", '{"$distinct_id":"awkward-@","$new":[1],"$properties":{"a":1}}'),
)


def awkward_profiles(count: int = 3200) -> list[RawProfile]:
    """Give `count` profiles that are odd in about a hundred ways, over and over.

    Each has an id of its own, so that none may get lost; `note` names the oddity, `raw` is its
    exact JSON text, one line of it. One property, "mixed", changes its type from row to row.
    """
    cases = list(_cases())
    return [_profile(number, *cases[number % len(cases)]) for number in range(count)]


def _cases() -> Iterator[tuple[str, str]]:
    for note, members in _MEMBERS:
        yield note, f'{{"$distinct_id":"awkward-@",{members}}}'
    yield from _PROFILES
    for value in _TYPES:
        yield (
            "type that changes",
            f'{{"$distinct_id":"awkward-@","$properties":{{"mixed":{value}}}}}',
        )


def _profile(number: int, note: str, template: str) -> RawProfile:
    return RawProfile(template.replace("@", f"{number:07d}").encode(), note)
