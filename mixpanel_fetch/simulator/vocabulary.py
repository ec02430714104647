"""The words that synthetic profiles are made of, as ready pieces of JSON where it saves time.

Every table has a power of two entries, so that a few bits of a hash pick one; an entry that
stands there more often is more frequent.
"""

from __future__ import annotations

import json
import math
from datetime import date, timedelta


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


FIRST_NAMES = _words(
    "Ada,Amara,Anders,Ben,Carla,Chen,Dana,Diego,Elif,Emma,Farid,Grace,Hana,Ines,Ivan,Jonas,"
    "Kofi,Lea,Liam,Maya,Mei,Nadia,Noah,Olga,Omar,Priya,Ravi,Sara,Sofia,Tomas,Yuki,Zoe"
)
LAST_NAMES = _words(
    "Abe,Ahmed,Berg,Costa,Diallo,Evans,Fischer,Garcia,Haddad,Ito,Jansen,Kaya,Kim,Larsen,Lopez,"
    "Martin,Mensah,Nguyen,Novak,Okafor,Patel,Quinn,Rossi,Sato,Silva,Singh,Tanaka,Unger,Vargas,"
    "Weber,Yilmaz,Zhang"
)
INDUSTRIES = _words("software,retail,finance,health,education,travel,media,energy")
FEATURES = _words(
    "dashboards,reports,alerts,exports,imports,search,comments,boards,api,mobile,sharing,"
    "templates,billing"
)
BOOLEANS = ("true", "false", "true", "false")


def _pieces(**properties: object) -> str:
    """Give properties as JSON text without the braces, `_` at a name's start as `$`."""
    named = {
        f"${name[1:]}" if name.startswith("_") else name: value
        for name, value in properties.items()
    }
    return json.dumps(named, separators=(",", ":"))[1:-1]


def _place(city: str, region: str, country: str, timezone: str) -> str:
    return _pieces(_city=city, _region=region, _country_code=country, _timezone=timezone)


def _agent(system: str, browser: str, version: int | str) -> str:
    return _pieces(_os=system, _browser=browser, _browser_version=version)


def _website(company: str) -> str:
    return f"https://{company.lower().replace(' ', '-')}.example.com"


_NEW_YORK = _place("New York", "New York", "US", "America/New_York")
_SAN_FRANCISCO = _place("San Francisco", "California", "US", "America/Los_Angeles")
_AUSTIN = _place("Austin", "Texas", "US", "America/Chicago")
_BERLIN = _place("Berlin", "Land Berlin", "DE", "Europe/Berlin")
_LONDON = _place("London", "England", "GB", "Europe/London")
_BANGALORE = _place("Bengaluru", "Karnataka", "IN", "Asia/Kolkata")
PLACES = (
    *(_NEW_YORK,) * 4,
    *(_SAN_FRANCISCO,) * 4,
    *(_AUSTIN,) * 2,
    *(_BERLIN,) * 3,
    *(_LONDON,) * 3,
    *(_BANGALORE,) * 3,
    _place("Paris", "\u00cele-de-France", "FR", "Europe/Paris"),
    _place("S\u00e3o Paulo", "S\u00e3o Paulo", "BR", "America/Sao_Paulo"),
    _place("Tokyo", "Tokyo", "JP", "Asia/Tokyo"),
    _place("Lagos", "Lagos", "NG", "Africa/Lagos"),
    _place("Toronto", "Ontario", "CA", "America/Toronto"),
    _place("Sydney", "New South Wales", "AU", "Australia/Sydney"),
    _place("Z\u00fcrich", "Zurich", "CH", "Europe/Zurich"),
    _place("Amsterdam", "North Holland", "NL", "Europe/Amsterdam"),
    _place("Madrid", "Madrid", "ES", "Europe/Madrid"),
    _place("Warsaw", "Mazovia", "PL", "Europe/Warsaw"),
    _place("Istanbul", "Istanbul", "TR", "Europe/Istanbul"),
    _place("Singapore", "Singapore", "SG", "Asia/Singapore"),
    _place("Mexico City", "Mexico City", "MX", "America/Mexico_City"),
)

_WINDOWS = _agent("Windows", "Chrome", 141)
_MAC = _agent("Mac OS X", "Chrome", 141)
_PHONE = _agent("iOS", "Mobile Safari", "18.6")
_ANDROID = _agent("Android", "Chrome", 140)
AGENTS = (
    *(_WINDOWS,) * 4,
    *(_MAC,) * 3,
    *(_PHONE,) * 3,
    *(_ANDROID,) * 3,
    _agent("Mac OS X", "Safari", "18.6"),
    _agent("Linux", "Firefox", 143),
    _agent("Windows", "Microsoft Edge", 141),
)

COMPANIES = tuple(
    _pieces(name=name, website=_website(name))
    for name in _words(
        "Acorn Labs,Blue Harbor,Cedar and Sons,Delta Freight,Elm Street Books,Fjord Software,"
        "Green Mill,Harvest Foods,Iris Optics,Juniper Travel,Kite Energy,Lumen Studio,Maple Health,"
        "North Pier,Orchard Games,Pine Finance"
    )
)

# Plan, least seats, price of a seat and month, and what else the plan implies.
_FREE = ("free", 1, 0, _pieces(trial=False))
_TRIAL = ("trial", 2, 0, _pieces(trial=True))
_STARTER = ("starter", 3, 9, _pieces(trial=False))
_BUSINESS = ("business", 12, 19, _pieces(trial=False))
_ENTERPRISE = ("enterprise", 80, 29, _pieces(trial=False))
PLANS = (
    *(_FREE,) * 36,
    *(_TRIAL,) * 6,
    *(_STARTER,) * 13,
    *(_BUSINESS,) * 7,
    *(_ENTERPRISE,) * 2,
)

TAGS = tuple(
    _pieces(tags=tags)
    for tags in (
        [],
        ["beta"],
        ["beta", "referral"],
        ["webinar"],
        ["newsletter", "webinar"],
        ["power-user"],
        ["beta", "power-user"],
        [],
    )
)

# Dates by days ago, counted back from a fixed day so that nothing depends on the clock.
DAYS = tuple((date(2026, 11, 20) - timedelta(days=ago)).isoformat() for ago in range(2048))
# How long ago people signed up: half of them within the last year, the oldest five years ago.
AGES = tuple(round(1800 * ((slot + 0.5) / 1024) ** 2.3) for slot in range(1024))
# How long people have been away: exponential, 40 days on average.
IDLE_DAYS = tuple(round(-40 * math.log(1 - (slot + 0.5) / 256)) for slot in range(256))
# Times of day, all through it in an order that looks like none.
TIMES = tuple(
    f"{hour:02d}:{minute:02d}:{second:02d}"
    for hour, minute, second in (
        (slot * 7 % 24, slot * 11 % 60, slot * 13 % 60) for slot in range(1024)
    )
)
