"""Read DATABASE_URL as other tools and hosting services write it."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import certifi

from listener.errors import ConfigError

# Parameters of libpq and of other programs that do not change what this service does.
_IGNORED = re.compile(
    r"channel_binding|client_encoding|connect_timeout|connection_?limit|fallback_application_name|gss(delegation|encmode)|"
    r"keepalives.*|load_balance_hosts|max_idle_.*|pgbouncer|pool_.*|prepare_?threshold|prepared_statement.*|require_?auth|"
    r"requiressl|socket_?timeout|ssl(accept|compression|sni)|statement_cache_size|supa.*|tcp_.*|uselibpqcompat|workaround"
)
# Parameters of asyncpg, and settings of the server that have a use for a whole connection.
_KNOWN = re.compile(
    r"application_name|bytea_output|database|datestyle|dbname|default_transaction_.*|gsslib|host|intervalstyle|jit|"
    r"krbsrvname|lc_messages|options|passfile|password|plan_cache_mode|port|role|search_path|service|"
    r"ssl(_max_protocol_version|_min_protocol_version|cert|crl|key|mode|negotiation|password|rootcert)|"
    r"synchronous_commit|target_session_attrs|timezone|user|work_mem|[a-z_]+_timeout|[a-z_]+[.][a-z_.]+"
)
_SSL_MODES = "disable", "allow", "prefer", "require", "verify-ca", "verify-full"
_VALUES = {
    "sslmode": _SSL_MODES,
    "target_session_attrs": ("any", "primary", "standby", "read-write", "read-only", "prefer-standby"),
    "sslnegotiation": ("postgres", "direct"),
}
# The parameter `ssl` of node-postgres, JDBC and others.
_SSL = {"true": "require", "1": "require", "no-verify": "require", "false": "disable", "0": "disable"}


def understood(url: str) -> str:
    """Return a URL of Postgres in the form that asyncpg takes.

    Raises:
        ValueError: it is no URL of Postgres.
        ConfigError: a parameter has no meaning here.
    """
    parts = urlsplit(url.strip().strip("\"'"))
    scheme = parts.scheme.partition("+")[0]  # SQLAlchemy adds the name of a driver
    if scheme not in {"postgresql", "postgres"} or parts.netloc.count("@") > 1:
        raise ValueError
    credentials, at, hosts = parts.netloc.rpartition("@")
    query = _parameters(parts.query)
    if "," in hosts:
        # urlsplit reads no port of several hosts, and asyncpg accepts the list here, too.
        query = {"host": hosts, **query}
        hosts = ""
    elif (parts.port or 1) < 0:  # reading it raises if the password has a character that should be encoded
        raise ValueError
    tail = f"?{urlencode(query, quote_via=quote, safe=',:/')}" if query else ""
    return f"{scheme}://{credentials}{at}{hosts}{parts.path}{tail}"


def _parameters(query: str) -> dict[str, str]:
    given = dict(parse_qsl(query))
    kept: dict[str, str] = {}
    for name, value in given.items():
        lower = name.lower()
        if lower == "ssl":
            kept.setdefault("sslmode", _SSL.get(value.lower(), value))
        elif lower == "schema":
            # Prisma's name of the search path. A pooler may refuse to set one, and `public` is the default.
            if value != "public":
                kept["search_path"] = value
        elif _IGNORED.fullmatch(lower):
            continue
        elif _KNOWN.fullmatch(lower):
            kept[lower] = value
        else:
            raise ConfigError(
                f"DATABASE_URL has the parameter {name!r}, which the service does not know; remove it, or write a "
                "setting of the server as options=-c%20NAME%3DVALUE."
            )
    return _checked(kept)


def _checked(kept: dict[str, str]) -> dict[str, str]:
    if kept.get("sslmode") == "no-verify":
        kept["sslmode"] = "require"
    if kept.get("sslrootcert") == "system":
        # libpq verifies the name of the server with it, too.
        kept |= {
            "sslrootcert": ssl.get_default_verify_paths().cafile or certifi.where(),
            "sslmode": "verify-full",
        }
    for name, allowed in _VALUES.items():
        if name in kept and kept[name] not in allowed:
            raise ConfigError(
                f"DATABASE_URL has {name}={kept[name]!r}; set {name} to one of {', '.join(allowed)}."
            )
    for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl"):
        if name in kept and not Path(kept[name]).is_file():
            raise ConfigError(
                f"DATABASE_URL names {name}={kept[name]!r}, which is no file; correct its path."
            )
    return kept
