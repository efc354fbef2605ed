"""One way to ask AWS (region, profile, role, endpoint): its session, its clients, its threads."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from healthd.probes.aws.http import BoundedSession
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams
from healthd.probes.base import ProbeContext, ProbeError
from healthd.probes.blocking import BlockingCalls, Stop

if TYPE_CHECKING:
    from botocore.config import Config
    from botocore.session import Session

__all__ = ["Account", "Models", "NotAwsError", "Page", "account_of", "forget"]

T = TypeVar("T")
Page = dict[str, Any]
_GLOBAL = frozenset({"ce", "cloudfront", "iam", "s3", "sts"})  # they answer wherever they are asked
_SOMEWHERE = "us-east-1"
_CALLS_AT_ONCE = 8
_CONNECT_TIMEOUT, _READ_TIMEOUT, _ATTEMPTS = 3, 10, 3
_RENEWED_AT_MOST_EVERY = timedelta(seconds=30)


class NotAwsError(Exception):
    """What answers is not AWS."""


class Models:
    """AWS' descriptions of its services: read from disk once for all accounts."""

    def __init__(self) -> None:
        self._loader: Any = None

    def session(self, profile: str | None) -> Session:
        """In a thread: a new session. Raises ProfileNotFound at its first use."""
        from botocore.session import Session

        session = Session(profile=profile)
        self._loader = self._loader or session.get_component("data_loader")
        session.register_component("data_loader", self._loader)
        return session


class Account:
    """Asks as one identity. Its blocking calls run in at most eight daemon threads.

    Whatever its clients are used for, only the operation a thread has announced leaves this process.
    """

    def __init__(self, params: AwsParams, models: Models, made: datetime | None = None) -> None:
        self.params, self._models, self.made = params, models, made
        self._slots = asyncio.Semaphore(_CALLS_AT_ONCE)
        self._threads = BlockingCalls()
        self._questions = 0
        self._session: Session | None = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._making = threading.Lock()
        self._mine = threading.local()

    async def run(self, work: Callable[[], T], seconds: float) -> T:
        """The result of a blocking function. Raises TimeoutError, and ProbeError (busy) when no thread became free.

        What a thread still does that nobody waits for ends at its next call.
        """
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds - min(0.05, seconds * 0.05)):  # in time to say what was waited for
                await self._slots.acquire()
        except TimeoutError:
            words = f"all {_CALLS_AT_ONCE} calls to AWS that healthd makes at a time wait for answers"
            raise ProbeError(words, "busy") from None
        loop = asyncio.get_running_loop()

        def in_thread(stop: Stop) -> T:
            self._mine.stop, self._mine.read = stop, 0
            try:
                return work()
            finally:
                with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                    loop.call_soon_threadsafe(self._slots.release)

        self._questions += 1
        left = seconds - (time.monotonic() - began)
        return await self._threads.call(f"AWS {self._questions}", in_thread, left)

    def pages(self, operation: Operation, region: str | None, request: dict[str, Any]) -> Iterator[Page]:
        """In a thread: all pages of the answer, asked for one by one."""
        client = self.client(operation.service, region)
        self._mine.operation = client.meta.method_to_api_mapping[operation.method]
        if client.can_paginate(operation.method):
            yield from client.get_paginator(operation.method).paginate(**request)
            return
        while True:
            page = getattr(client, operation.method)(**request)
            yield page
            if operation.token is None or not page.get(operation.token[0]):
                return
            request = {**request, operation.token[1]: page[operation.token[0]]}

    @property
    def read(self) -> int:
        """In a thread: bytes of the answers to this question so far."""
        return int(self._mine.read)

    def client(self, service: str, region: str | None = None) -> Any:
        """In a thread: a client that sends nothing but what `pages` has announced in that thread."""
        with self._making:  # a session must not make two at once
            where = region or self.region(service)
            if (service, where) not in self._clients:
                client = self._opened().create_client(
                    service, region_name=where, endpoint_url=self.params.endpoint_url, config=self._config(service)
                )
                client.meta.events.register("before-call", self._refuse_others)
                client.meta.events.register("before-parse", _refuse_pages)
                endpoint = client._endpoint
                endpoint.http_session = BoundedSession(endpoint.http_session, self._mine)
                self._clients[service, where] = client
            return self._clients[service, where]

    def region(self, service: str) -> str:
        """In a thread: where to ask when the check does not say. Raises ProbeError (config)."""
        found = self.params.region or os.environ.get("AWS_REGION") or self._opened().get_config_variable("region")
        if found is None and (service in _GLOBAL or self.params.endpoint_url):
            return _SOMEWHERE
        if found is None:
            raise ProbeError("no region: write `region`, or set AWS_REGION (AWS_DEFAULT_REGION)", "config")
        return str(found)

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def _refuse_others(self, model: Any, **_: Any) -> None:
        # boto3 asks HeadBucket by itself to find out where a bucket is
        if model.name not in (getattr(self._mine, "operation", None), "HeadBucket"):
            raise PermissionError(f"{model.name} is not among the operations a probe may ask")

    def _opened(self) -> Session:
        if self._session is None:
            session = self._models.session(self.params.profile)
            session.set_config_variable("metadata_service_num_attempts", 1)
            self._session = self._in_role(session) if self.params.role_arn else session
        return self._session

    def _in_role(self, base: Session) -> Session:
        """A session that assumes the role when it is first used, and again before that expires."""
        from botocore.credentials import (
            AssumeRoleCredentialFetcher,
            CredentialProvider,
            CredentialResolver,
            DeferredRefreshableCredentials,
        )
        from botocore.exceptions import NoCredentialsError

        source = base.get_credentials()
        if source is None:
            raise NoCredentialsError
        region = self.params.region or os.environ.get("AWS_REGION") or base.get_config_variable("region")
        create = partial(
            base.create_client,
            region_name=region or _SOMEWHERE,
            endpoint_url=self.params.endpoint_url,
            config=self._config("sts"),
        )
        secret = self.params.external_id
        extra = {"RoleSessionName": "healthd"} | ({"ExternalId": secret.get_secret_value()} if secret else {})
        fetcher = AssumeRoleCredentialFetcher(create, source, self.params.role_arn, extra_args=extra)

        class Role(CredentialProvider):  # type: ignore[misc]  # botocore has no types
            METHOD = "assume-role"

            def load(self) -> DeferredRefreshableCredentials:
                return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)

        session = self._models.session(self.params.profile)
        session.register_component("credential_provider", CredentialResolver([Role()]))
        return session

    def _config(self, service: str) -> Config:
        from botocore.config import Config

        elsewhere = self.params.endpoint_url or "AWS_ENDPOINT_URL" in os.environ or "AWS_ENDPOINT_URL_S3" in os.environ
        return Config(
            connect_timeout=_CONNECT_TIMEOUT,
            read_timeout=_READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            max_pool_connections=_CALLS_AT_ONCE,
            user_agent_extra="healthd",
            # what stands for S3 elsewhere need not have a host name for each bucket
            s3={"addressing_style": "path"} if service == "s3" and elsewhere else None,
        )


def _refuse_pages(operation_model: Any, response_dict: Mapping[str, Any], **_: Any) -> None:
    """A proxy's page with status 200 must not look like an empty answer, which is what the client makes of it."""
    if response_dict["status_code"] >= 300 or operation_model.has_streaming_output:
        return
    body = response_dict["body"].lstrip()
    is_json = operation_model.service_model.resolved_protocol in ("json", "rest-json")
    if body[:9].lower().startswith((b"<!doctype", b"<html")) or (is_json and body and body[:1] != b"{"):
        raise NotAwsError


async def account_of(params: AwsParams, context: ProbeContext) -> Account:
    """The shared Account of these parameters."""

    async def read() -> Models:
        return Models()

    async def make() -> Account:
        return Account(params, await context.resources.get(Models, read), context.now)

    async def close(account: Account) -> None:
        await asyncio.to_thread(account.close)

    return await context.resources.get(("aws", params.account), make, close)


async def forget(account: Account, context: ProbeContext) -> None:
    """Log in anew at the next look: credentials may have been replaced. Not more often than every 30 seconds."""
    key = ("aws", account.params.account)
    due = account.made is None or abs(context.now - account.made) > _RENEWED_AT_MOST_EVERY
    if due and context.resources.peek(key) is account:
        await context.resources.drop(key)
