"""Play GoTrue: publish the keys that verify tokens, name the user of a token, and sign users in.

Passwords are in `auth.users` as plain text. A test rotates the key by giving the stack another `signing_key` and `kid`.
With `signing_key = None` the project publishes no key, because it signs with its shared secret.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

if TYPE_CHECKING:
    from tests.support.standin.stack import Stack

JWKS = "/auth/v1/.well-known/jwks.json"


def routes(stack: Stack) -> list[BaseRoute]:
    """Return the routes of Auth."""

    async def jwks(_: Request) -> JSONResponse:
        published = [jwk(stack.signing_key, stack.kid)] if stack.signing_key else []
        return JSONResponse({"keys": published}, headers={"cache-control": "public, max-age=600"})

    async def user(request: Request) -> JSONResponse:
        claims = stack.identify(request.headers).claims
        if "sub" not in claims:
            return JSONResponse({"code": 403, "msg": "invalid claim: missing sub claim"}, 403)
        return JSONResponse(
            {"id": claims["sub"], "aud": claims["aud"], "role": claims["role"], "email": claims["email"]}
        )

    async def sign_in(request: Request) -> JSONResponse:
        stack.identify(request.headers)
        given = await request.json()
        found = await stack.pool.fetchval(
            "select id from auth.users where email = $1 and encrypted_password = $2",
            given["email"],
            given["password"],
        )
        if found is None:
            return JSONResponse(
                {"error_code": "invalid_credentials", "msg": "Invalid login credentials"}, 400
            )
        who = {"id": str(found), "aud": "authenticated", "role": "authenticated", "email": given["email"]}
        token = {"access_token": stack.user_token(found), "token_type": "bearer", "refresh_token": "none"}
        return JSONResponse({**token, "expires_in": 3600, "user": who})

    return [
        Route(JWKS, jwks),
        Route("/auth/v1/user", user),
        Route("/auth/v1/token", sign_in, methods=["POST"]),
    ]


def jwk(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    """Return the public half of a key, as a project publishes it."""
    fields: dict[str, Any]
    if isinstance(key, rsa.RSAPrivateKey):
        fields, algorithm = json.loads(RSAAlgorithm.to_jwk(key.public_key())), "RS256"
    else:
        fields, algorithm = json.loads(ECAlgorithm.to_jwk(key.public_key())), "ES256"
    return fields | {"kid": kid, "alg": algorithm, "use": "sig", "key_ops": ["verify"], "ext": True}
