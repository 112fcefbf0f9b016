"""The fields of a brief and of a job, and their limits."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from listener import ListenerError

MediaType = Literal["video", "image", "audio", "text"]
JobType = Literal[
    "analysis",
    "asset_prep",
    "storyboard",
    "video_generation",
    "image_processing",
    "text_analysis",
    "render",
]
TYPES: tuple[str, ...] = get_args(JobType)
MOST_BYTES = 1_000_000
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class BriefError(ListenerError):
    """The brief can't be fulfilled; the text says why, for the person who wrote it."""


def _small(value: dict[str, Any]) -> dict[str, Any]:
    size = len(json.dumps(value))
    if size > MOST_BYTES:
        raise PydanticCustomError("large", f"has {size / 1e6:.1f} MB; the limit is 1 MB")
    return value


Object = Annotated[dict[str, Any], AfterValidator(_small)]


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @classmethod
    def check(cls, **fields: Any) -> dict[str, Any]:
        """Return the fields in JSON types.

        Raises:
            BriefError: a field is malformed.
        """
        try:
            return cls(**fields).model_dump(mode="json")
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise BriefError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None


class NewBrief(_Checked):
    """The fields of a new brief."""

    user_id: UUID = Field(description="owner; an id of auth.users")
    title: Title
    description: str = Field("", max_length=20_000)
    query: str = Field("", max_length=50_000, description="the request, in the user's words")
    media_type: MediaType = "text"
    use_pipeline: bool = Field(False, description="run all steps of the media type; else analysis only")
    metadata: Object = Field({}, description="options and assets of the steps")
    steps: list[JobType] | None = Field(
        None, min_length=1, max_length=7, description="steps to run instead of the pipeline's"
    )


class NewJob(_Checked):
    """The fields of a new job that belongs to no pipeline."""

    type: Annotated[str, StringConstraints(pattern=r"^\w{1,50}$")]
    brief_id: UUID | None = None
    payload: Object = {}
    metadata: Object = {}
    priority: int = Field(0, ge=-1000, le=1000)
    max_attempts: int = Field(3, ge=1, le=100)
