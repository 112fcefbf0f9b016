"""Play PostgREST: tables and functions of the schema `public` at `/rest/v1`, one transaction of the caller a request.

It supports what postgrest-py sends: simple filters, order, limit, the columns to select, `Prefer`, exact counts. It
does not support embedding and CSV.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import asyncpg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

if TYPE_CHECKING:
    from tests.support.standin.stack import Caller, Stack

EXPOSED = ("public", "graphql_public")

FUNCTIONS = """
select p.proname, p.proargnames, p.pronargs, p.pronargdefaults, p.proretset,
  array(select format_type(t.type, null) from unnest(p.proargtypes) with ordinality as t (type, n) order by n) as types,
  p.prorettype = 'void'::regtype as is_void
from pg_proc as p where p.pronamespace = $1::regnamespace and p.proname = $2 and p.prokind = 'f'
"""

# A column's name, with the expression of its default or null.
COLUMNS = """
select a.attname, case a.attidentity when 'd' then format('nextval(%L)', pg_get_serial_sequence($1, a.attname))
  else pg_get_expr(d.adbin, d.adrelid) end
from pg_attribute as a left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
"""

OPERATORS = {
    "eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "like": "like", "ilike": "ilike",
    "cs": "@>", "cd": "<@",
}  # fmt: skip

STATUSES = {
    "08": 503, "09": 500, "0L": 403, "0P": 403, "23503": 409, "23505": 409, "25006": 405, "25": 500, "28": 403,
    "2D": 500, "38": 500, "39": 500, "3B": 500, "40": 500, "53400": 500, "53": 503, "54": 500, "55": 500, "57": 500,
    "58": 500, "F0": 500, "HV": 500, "P0001": 400, "P0": 500, "42883": 404, "42P01": 404, "42P17": 500,
}  # fmt: skip

RESERVED = {"select", "order", "limit", "offset", "columns", "on_conflict"}


class Bad(Exception):
    """An error that PostgREST itself reports."""

    def __init__(self, status: int, code: str, message: str, details: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, "details": details, "hint": None}


def routes(stack: Stack) -> list[BaseRoute]:
    """Return the routes of the REST API."""

    def route(answer: Callable[[Request, Caller, Stack], Awaitable[Response]]) -> Any:
        async def endpoint(request: Request) -> Response:
            caller = stack.identify(request.headers)
            try:
                return await answer(request, caller, stack)
            except Bad as error:
                return JSONResponse(error.body, error.status)
            except asyncpg.PostgresError as error:
                return _refusal(error, caller)

        return endpoint

    return [
        Route("/rest/v1/rpc/{function}", route(_call), methods=["POST"]),
        Route("/rest/v1/{table}", route(_table), methods=["GET", "POST", "PATCH", "DELETE"]),
    ]


def _refusal(error: asyncpg.PostgresError, caller: Caller) -> Response:
    code = str(error.sqlstate)
    status = STATUSES.get(code) or STATUSES.get(code[:2]) or 400
    if code == "42501":
        status = 401 if caller.role == "anon" else 403
    elif re.fullmatch(r"PT[1-5]\d\d", code):
        status = int(code[2:])
    details, hint = getattr(error, "detail", None), getattr(error, "hint", None)
    return JSONResponse({"code": code, "message": error.message, "details": details, "hint": hint}, status)


async def _call(request: Request, caller: Caller, stack: Stack) -> Response:
    schema, name = _schema(request, "content-profile"), request.path_params["function"]
    body = await _json(request, {})
    async with stack.acting_as(caller) as connection:
        function = next(
            (one for one in await connection.fetch(FUNCTIONS, schema, name) if _fits(one, body.keys())), None
        )
        if function is None:
            given = ", ".join(sorted(body))
            raise Bad(
                404,
                "PGRST202",
                f"Could not find the function {schema}.{name}({given}) in the schema cache",
                f"Searched for the function {schema}.{name} with parameters {given} or with a single unnamed json/jsonb"
                " parameter, but no matches were found in the schema cache.",
            )
        types = dict(zip(function["proargnames"] or (), function["types"], strict=False))
        arguments = ", ".join(f"{_id(name)} => given.{_id(name)}" for name in body)
        fields = ", ".join(f"{_id(name)} {types[name]}" for name in body)
        source = f"json_to_record($1::json) as given ({fields})" if body else "(select $1::json) as given"
        value = "coalesce(json_agg(answer), '[]')" if function["proretset"] else "to_json(answer)"
        sql = f"select {value} from {source}, lateral {_id(schema)}.{_id(name)}({arguments}) as answer"
        if function["is_void"]:
            sql = f"select {_id(schema)}.{_id(name)}({arguments}) from {source}"
        answer = await connection.fetchval(sql, json.dumps(body))
    if function["is_void"]:
        return Response(status_code=204)
    return Response("null" if answer is None else answer, media_type="application/json")


def _fits(function: asyncpg.Record, given: Any) -> bool:
    names = list(function["proargnames"] or ())[: function["pronargs"]]
    needed = names[: function["pronargs"] - function["pronargdefaults"]]
    return set(needed) <= set(given) <= set(names)


async def _table(request: Request, caller: Caller, stack: Stack) -> Response:
    profile = "accept-profile" if request.method == "GET" else "content-profile"
    schema, name = _schema(request, profile), request.path_params["table"]
    table = f"{_id(schema)}.{_id(name)}"
    prefer = {part.strip() for part in request.headers.get("prefer", "").split(",")}
    body = None if request.method in {"GET", "DELETE"} else await _json(request, [])
    total = None
    async with stack.acting_as(caller) as connection:
        columns = {row[0]: row[1] for row in await connection.fetch(COLUMNS, table)}
        if not columns:
            raise Bad(404, "PGRST205", f"Could not find the table '{schema}.{name}' in the schema cache")
        sql = _sql(request, table, columns, body, prefer)
        selected = _selected(request.query_params.get("select", "*"))
        most = f" limit {stack.max_rows}" if request.method == "GET" else ""
        if request.method == "GET" and "count=exact" in prefer:
            total = await connection.fetchval(f"select count(*) from ({sql}) as counted")
        answer = await connection.fetchval(
            f"with source as ({sql}) select coalesce(json_agg(answer), '[]')::text"
            f" from (select * from (select {selected} from source{_page(request)}) as page{most}) as answer",
            *([] if body is None else [json.dumps(body)]),
        )
    if request.method != "GET" and "return=representation" not in prefer:
        return Response(status_code=201 if request.method == "POST" else 204)
    return _rows(request, answer, total)


def _rows(request: Request, answer: str, total: int | None) -> Response:
    rows = json.loads(answer)
    if request.headers.get("accept", "").startswith("application/vnd.pgrst.object+json"):
        if len(rows) != 1:
            details = f"The result contains {len(rows)} rows"
            raise Bad(406, "PGRST116", "Cannot coerce the result to a single JSON object", details)
        answer = json.dumps(rows[0])
    headers = {"Content-Range": f"{f'0-{len(rows) - 1}' if rows else '*'}/{'*' if total is None else total}"}
    partial = total is not None and 0 < len(rows) < total
    status = 201 if request.method == "POST" else 206 if partial else 200
    return Response(answer, status, headers, media_type="application/json")


def _sql(request: Request, table: str, columns: Mapping[str, str | None], body: Any, prefer: set[str]) -> str:
    where = _where(request)
    if request.method == "GET":
        return f"select * from {table}{where}"
    if request.method == "DELETE":
        return f"delete from {table}{where} returning *"
    rows = body if isinstance(body, list) else [body]
    named = request.query_params.get("columns")
    names = _names(named) if named else list(rows[0] if rows else ())
    if unknown := next((name for name in names if name not in columns), None):
        raise Bad(400, "PGRST204", f"Could not find the '{unknown}' column of '{table}' in the schema cache")
    if request.method == "PATCH":
        listed, values = ", ".join(map(_id, names)), ", ".join(f"new.{_id(name)}" for name in names)
        source = f"select {values} from json_populate_record(null::{table}, $1::json) as new"
        return f"update {table} set ({listed}) = ({source}){where} returning *"
    listed = ", ".join(map(_id, names))
    values = ", ".join(f"new.{_id(name)}" for name in names)
    # Like the real server: a default is computed for each row, also for one that names the column. The default of an
    # identity column is the next value of its sequence, which needs the right to use that.
    with_default = [name for name in names if columns[name]] if "missing=default" in prefer else []
    defaults = ", ".join(f"{_literal(name)}, {columns[name]}" for name in with_default)
    items = "case jsonb_typeof($1::jsonb) when 'array' then $1::jsonb else jsonb_build_array($1::jsonb) end"
    conflict = _conflict(request, names, prefer)
    return (
        f"insert into {table} ({listed}) select {values} from jsonb_array_elements({items}) as item,"
        f" lateral jsonb_populate_record(null::{table}, jsonb_build_object({defaults}) || item.value) as new{conflict}"
        " returning *"
    )


def _conflict(request: Request, names: list[str], prefer: set[str]) -> str:
    if not prefer & {"resolution=merge-duplicates", "resolution=ignore-duplicates"}:
        return ""
    on = request.query_params.get("on_conflict")
    keys = ", ".join(map(_id, _names(on))) if on else ""
    target = f" ({keys})" if keys else ""
    if "resolution=ignore-duplicates" in prefer:
        return f" on conflict{target} do nothing"
    sets = ", ".join(f"{_id(name)} = excluded.{_id(name)}" for name in names)
    return f" on conflict{target} do update set {sets}"


def _where(request: Request) -> str:
    filters = [
        _condition(column, value)
        for column, value in request.query_params.multi_items()
        if column not in RESERVED
    ]
    if not filters and request.method in {"PATCH", "DELETE"}:
        word = "UPDATE" if request.method == "PATCH" else "DELETE"
        raise Bad(400, "21000", f"{word} requires a WHERE clause")
    return " where " + " and ".join(filters) if filters else ""


def _condition(column: str, said: str) -> str:
    negated = said.startswith("not.")
    operator, _, value = said.removeprefix("not.").partition(".")
    if operator == "is" and value in {"null", "true", "false", "unknown"}:
        condition = f"{_path(column)} is {value}"
    elif operator == "in":
        listed = ", ".join(map(_literal, _names(value[1:-1])))
        condition = f"{_path(column)} in ({listed})" if listed else "false"
    elif operator in OPERATORS:
        wanted = value.replace("*", "%") if "like" in operator else value
        condition = f"{_path(column)} {OPERATORS[operator]} {_literal(wanted)}"
    else:
        raise Bad(400, "PGRST100", f'"failed to parse filter ({said})" (line 1, column 1)')
    return f"not ({condition})" if negated else condition


def _page(request: Request) -> str:
    given = request.query_params
    order = ", ".join(
        " ".join([_path(name), *(word.replace("nulls", "nulls ") for word in words)])
        for name, *words in (part.split(".") for part in given.get("order", "").split(",") if part)
        if set(words) <= {"asc", "desc", "nullsfirst", "nullslast"}
    )
    parts = [f" order by {order}" if order else ""]
    parts += [f" {name} {int(given[name])}" for name in ("limit", "offset") if name in given]
    return "".join(parts)


def _selected(said: str) -> str:
    return "*" if said == "*" else ", ".join(_path(name) for name in _names(said))


def _path(column: str) -> str:
    """Return the SQL of a column, or of a place in its JSON such as `metadata->>kind`."""
    name, *rest = re.split(r"(->>?)", column)
    steps = [part if part.startswith("->") else _literal(part) for part in rest]
    return _id(_names(name)[0]) + "".join(steps)


def _names(listed: str) -> list[str]:
    """Return the parts of `a,"b,c"`."""
    parts = re.findall(r'"((?:[^"\\]|\\.)*)"|([^,]+)', listed)
    return [bare or re.sub(r"\\(.)", r"\1", quoted) for quoted, bare in parts]


def _schema(request: Request, header: str) -> str:
    schema = request.headers.get(header, "public")
    if schema not in EXPOSED:
        listed = ", ".join(EXPOSED)
        raise Bad(
            406, "PGRST106", f"Invalid schema: {schema}", f"Only the following schemas are exposed: {listed}"
        )
    return schema


async def _json(request: Request, empty: Any) -> Any:
    raw = await request.body()
    try:
        return json.loads(raw) if raw else empty
    except ValueError:
        raise Bad(400, "PGRST102", "Empty or invalid json") from None


def _id(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
