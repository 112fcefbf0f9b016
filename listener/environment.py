"""Read settings from the environment and `.env` files, with a sentence for each mistake in them."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import unquote, urlsplit

from dotenv.parser import parse_stream
from pydantic import AfterValidator, AliasChoices, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from listener.errors import ConfigError
from listener.log import hide

FILES = (".env", ".env.local")  # in the working directory; the later one wins


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or " " in value:
        raise ValueError
    return value.rstrip("/")


Url = Annotated[str, AfterValidator(_url)]


def setting(default: object, about: str, form: str, *names: str, **rules: Any) -> Any:
    """Declare a field of an `Environment`.

    Args:
        default: the value if no variable is set.
        about: its meaning, for the documentation.
        form: the allowed values, for documentation and errors.
        names: the variables that set it; the first one wins.
        rules: further arguments of pydantic's `Field`.
    """
    return Field(
        default,
        validation_alias=AliasChoices(*names),
        description=about,
        json_schema_extra={"form": form},
        **rules,
    )


class Environment(BaseSettings):
    """A group of settings, read from the environment and `.env` files. An application may declare its own.

    `.env.local` wins over `.env`, and the real environment wins over both; empty values count as unset.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_file=FILES,
        env_ignore_empty=True,
        case_sensitive=True,
        validate_by_name=True,
        allow_inf_nan=False,
        extra="ignore",
        frozen=True,
    )

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment and the `.env` files of the working directory.

        Args:
            overrides: values by field name, which override the environment; durations in seconds.

        Raises:
            ConfigError: a value is malformed, or a variable looks like a misspelled setting.
        """
        if unknown := overrides.keys() - cls.model_fields.keys():
            raise TypeError(f"{cls.__name__} has no {', '.join(sorted(unknown))}")
        try:
            _refuse_malformed()
            environment = {**DotEnvSettingsSource(cls).env_vars, **os.environ}
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"A .env file can't be read ({error}); make it UTF-8 text.") from None
        _refuse_lookalikes(cls, environment)
        try:
            settings = cls(**overrides)
        except ValidationError as error:
            where = error.errors(include_url=False)[0]["loc"][0]
            raise ConfigError(_sentence(cls, where, overrides, environment)) from None
        hide(settings.secrets())
        return settings

    def secrets(self) -> Iterator[str]:
        """Yield the texts that must never be shown. For a URL, that is its password, unless it equals the user name."""
        for name in type(self).model_fields:
            if isinstance(secret := getattr(self, name), SecretStr):
                value = secret.get_secret_value()
                if url := re.search(r"://([^:/?#]*):(.*)@", value):
                    value = "" if url[1] == url[2] else url[2]
                yield from (value, unquote(value))

    @classmethod
    def table(cls) -> str:
        """Return all settings as a Markdown table, for the documentation."""
        rows = ["| Variable | Default | Allowed | Meaning |", "| --- | --- | --- | --- |"]
        for field in cls.model_fields.values():
            names = " or ".join(f"`{name}`" for name in _names(field))
            rows.append(f"| {names} | {_default(field)} | {_form(field)} | {field.description} |")
        return "\n".join(rows) + "\n"


def _refuse_malformed() -> None:
    """Raise for a line of a `.env` file that dotenv would skip."""
    for path in filter(Path.is_file, map(Path, FILES)):
        with path.open(encoding="utf-8-sig") as file:
            for line in parse_stream(file):
                if line.error:
                    blank, _, _ = line.original.string.partition(line.original.string.strip())
                    number = line.original.line + blank.count("\n")
                    raise ConfigError(
                        f"{path}, line {number}, can't be read; write NAME=value, with both quotes or none."
                    )


def _names(field: FieldInfo) -> list[str]:
    assert isinstance(field.validation_alias, AliasChoices)  # noqa: S101 - setting makes no other
    return [str(choice) for choice in field.validation_alias.choices]


def _form(field: FieldInfo) -> str:
    assert isinstance(field.json_schema_extra, dict)  # noqa: S101 - setting makes no other
    return str(field.json_schema_extra["form"])


def _default(field: FieldInfo) -> str:
    match field.default:
        case None | ():
            return ""
        case bool(value):
            return f"`{str(value).lower()}`"
        case float(value):
            return f"`{value * 1000 if 'milliseconds' in _form(field) else value:g}`"
        case value:
            return f"`{value}`"


def _sentence(
    settings: type[Environment], where: object, overrides: Mapping[str, Any], environment: Mapping[str, Any]
) -> str:
    """Return a sentence with the variable as it was spelled, its value unless that is secret, and the allowed ones."""
    given = {**environment, **overrides}
    name, field = next((n, f) for n, f in settings.model_fields.items() if where in (n, *_names(f)))
    variable = next(spelling for spelling in (name, *_names(field)) if spelling in given)
    problem = "has the wrong form" if "SecretStr" in str(field.annotation) else f"is {str(given[variable])!r}"
    return f"{variable} {problem}; it takes {_form(field)}."


def _refuse_lookalikes(settings: type[Environment], environment: Mapping[str, Any]) -> None:
    """Raise for a variable whose name is almost that of a setting."""
    ours = [name for field in settings.model_fields.values() for name in _names(field)]
    for name in sorted(environment.keys() - set(ours)):
        for meant in ours:
            if _looks_like(name.upper(), meant):
                raise ConfigError(f"{name} is not a setting; did you mean {meant}? Rename or remove it.")


def _looks_like(name: str, meant: str) -> bool:
    # Compared word by word, because DATABASE_URI or SUPABASE_DB_URL may belong to another program. Names of one word
    # are not compared, because HOSTS or RELEASE certainly do.
    if name.count("_") != meant.count("_") or "_" not in name:
        return False
    words = list(zip(name.split("_"), meant.split("_"), strict=True))
    return all(difflib.SequenceMatcher(None, *pair).ratio() >= 0.75 for pair in words)
