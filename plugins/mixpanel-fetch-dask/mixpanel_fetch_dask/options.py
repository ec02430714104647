"""What may be written after ``-o``."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

MIXPANEL_LIMIT = 5
"""Queries that Mixpanel answers at once; more are refused with 429."""


class ClusterOptions(Schema):
    """Where the cluster is. What is left out comes from Dask's own configuration."""

    scheduler = fields.String(load_default=None)
    tls_ca = fields.String(load_default=None)
    tls_cert = fields.String(load_default=None)
    tls_key = fields.String(load_default=None)


class StrategyOptions(ClusterOptions):
    """And how its workers fetch.

    ``limit``: the most requests of one project in flight, on the whole cluster. ``credentials``:
    whether they ``travel`` to the workers, or are those of the ``workers``; then ``account`` names
    one of the workers' configuration file.
    """

    limit = fields.Integer(load_default=MIXPANEL_LIMIT, validate=validate.Range(min=1))
    credentials = fields.String(
        load_default="travel", validate=validate.OneOf(["travel", "workers"])
    )
    account = fields.String(load_default=None)
