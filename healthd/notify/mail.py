"""E-mail over SMTP: one conversation per incident, as plain text and HTML. Rendering is mail_text.py's."""

from __future__ import annotations

import asyncio
import re
import smtplib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import structlog
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from healthd.model.incidents import ChannelError, Message
from healthd.model.redact import Redactor
from healthd.notify.context import Context
from healthd.notify.mail_text import compose_mail
from healthd.notify.options import Options as Common
from healthd.notify.options import Rate, parse_rate

THREADS = 2  # connections at once
MAX_SAID = 100_000  # bytes a server may say in one conversation
MAX_REASON = 200
PORTS = {"starttls": 587, "tls": 465, "none": 25}
_ADDRESS = re.compile(r"[^@\s<>\"',;:\\]{1,64}@[A-Za-z0-9.\-\[\]:]{1,255}")

log = structlog.get_logger("healthd.notify")


def _check_address(address: str) -> str:
    name, bare = parseaddr(address)
    if not _ADDRESS.fullmatch(bare) or not address.isprintable():
        raise ValueError('not an e-mail address: expected ops@example.com or "Operations <ops@example.com>"')
    return f"{name} <{bare}>" if name else bare


def _several(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Address = Annotated[str, AfterValidator(_check_address)]
Addresses = Annotated[tuple[Address, ...], BeforeValidator(_several)]


class Email:
    """Sends one mail for every event; mail programs show those of one incident as one conversation."""

    class Options(Common):
        """`host` and `port` of the mail server; `security`: starttls (default), tls, or none for a server on the same
        machine. `username` and `password` where it wants them. `ca_file`: certificates to trust instead of the
        system's."""

        host: str = Field(min_length=1, max_length=255)
        port: int | None = Field(None, ge=1, le=65535)
        security: Literal["starttls", "tls", "none"] = "starttls"
        username: str = ""
        password: SecretStr | None = None
        sender: Address = Field(alias="from")
        to: Addresses = Field(min_length=1, max_length=100)
        ca_file: str = ""
        rate: Annotated[Rate | None, BeforeValidator(parse_rate)] = Rate(30, timedelta(minutes=1))

        @model_validator(mode="after")
        def _consistent(self) -> Self:
            if bool(self.username) != bool(self.password and self.password.get_secret_value()):
                raise ValueError("username and password belong together")
            if self.username and self.security == "none":
                raise ValueError("a password is not sent without encryption: use security: starttls or tls")
            if self.ca_file and not Path(self.ca_file).is_file():
                raise ValueError(f"ca_file: there is no file {self.ca_file}")
            return self

    def __init__(self, options: Options, context: Context) -> None:
        self._options, self._context = options, context
        secret = options.password.get_secret_value() if options.password else ""
        self._redact = Redactor([secret])
        self._threads: ThreadPoolExecutor | None = None

    async def send(self, message: Message) -> None:
        """Hand it to the mail server. Refused recipients are an error only when all are."""
        mail = compose_mail(message, self._options.sender, self._options.to)
        talk = _Conversation(self._options, mail)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="healthd-mail")
        work = asyncio.get_running_loop().run_in_executor(self._threads, talk.hold)
        seconds = self._options.timeout.total_seconds()
        try:
            refused = await asyncio.wait_for(asyncio.shield(work), seconds)
        except TimeoutError:
            raise ChannelError(f"{self._options.host} did not finish within {seconds:g} s") from None
        except (smtplib.SMTPException, OSError, ValueError, MessageError) as error:
            raise self._explained(error) from None
        finally:
            if not work.done():
                talk.cut()  # the thread ends with an error nobody waits for
                work.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        if refused:
            log.warning("mail_recipients_refused", channel=self._context.name, count=len(refused))

    async def close(self) -> None:
        """Connections are closed after every mail."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    def _explained(self, error: Exception) -> ChannelError:
        host, reason = self._options.host, self._redact(_words(error))
        permanent = isinstance(error, smtplib.SMTPNotSupportedError | ValueError | MessageError)
        if isinstance(error, smtplib.SMTPAuthenticationError):
            reason, permanent = f"{reason} (check username and password)", True
        elif isinstance(error, smtplib.SMTPRecipientsRefused):
            permanent = all(code >= 500 for code, _ in error.recipients.values())
        elif isinstance(error, smtplib.SMTPResponseException):
            permanent = 500 <= error.smtp_code < 600
        return ChannelError(f"{host}: {reason}", permanent=permanent)


class _Conversation:
    """One connection, in a thread of its own. `cut` may be called from any thread."""

    def __init__(self, options: Email.Options, mail: EmailMessage) -> None:
        self._options, self._mail = options, mail
        self._cut = False
        self._server: smtplib.SMTP | None = None

    def hold(self) -> dict[str, Any]:
        """Connect, encrypt, sign in, hand over. Returns the recipients refused."""
        options = self._options
        server = self._server = _server(options)
        try:
            if self._cut:
                raise OSError("no time left")
            server.connect(options.host, options.port or PORTS[options.security])
            server.ehlo_or_helo_if_needed()
            if options.security == "starttls":
                server.starttls(context=_tls(options))
                server.ehlo()
            if options.username and options.password:
                server.login(options.username, options.password.get_secret_value())
            refused = server.send_message(self._mail, from_addr=parseaddr(options.sender)[1], to_addrs=_bare(options))
            with suppress(smtplib.SMTPException, OSError):  # it has the mail
                server.quit()
            return dict(refused)
        finally:
            server.close()

    def cut(self) -> None:
        """End it now, wherever it is."""
        self._cut = True
        connection = self._server.sock if self._server else None
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _server(options: Email.Options) -> smtplib.SMTP:
    seconds, name = options.timeout.total_seconds(), "healthd.invalid"
    if options.security == "tls":
        server: smtplib.SMTP = _TalkativeTls(timeout=seconds, local_hostname=name, context=_tls(options))
    else:
        server = _Talkative(timeout=seconds, local_hostname=name)
    # whose certificate is expected: smtplib knows it only when it connects at once, and then cannot be cut short
    vars(server)["_host"] = options.host
    return server


def _tls(options: Email.Options) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=options.ca_file or None)


def _bare(options: Email.Options) -> list[str]:
    return [parseaddr(address)[1] for address in options.to]


class _Bounded:
    """What a server says, line by line, up to MAX_SAID."""

    def __init__(self, file: Any) -> None:
        self._file, self._left = file, MAX_SAID

    def readline(self, most: int) -> bytes:
        """See io.BufferedReader."""
        line: bytes = self._file.readline(most)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("it says more than a mail server should")
        return line

    def close(self) -> None:
        """See io.BufferedReader."""
        self._file.close()


class _Talkative(smtplib.SMTP):
    """A client that does not listen without end."""

    def getreply(self) -> tuple[int, bytes]:
        """See smtplib.SMTP."""
        if self.file is None and self.sock is not None:
            self.file = _Bounded(self.sock.makefile("rb"))
        return super().getreply()


class _TalkativeTls(smtplib.SMTP_SSL):
    """The same, encrypted from the beginning."""

    def getreply(self) -> tuple[int, bytes]:
        """See smtplib.SMTP."""
        if self.file is None and self.sock is not None:
            self.file = _Bounded(self.sock.makefile("rb"))
        return super().getreply()


def _words(error: Exception) -> str:
    """What went wrong, in one line of the server's words or ours."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            first = next(iter(error.recipients.values()), (0, b""))
            text = f"it refused all recipients: {first[0]} {_decoded(first[1])}"
        case smtplib.SMTPResponseException():
            text = f"it answered {error.smtp_code} {_decoded(error.smtp_error)}"
        case smtplib.SMTPNotSupportedError():
            text = f"{error} (see security and username)"
        case smtplib.SMTPServerDisconnected():
            text = "it closed the connection"
        case ssl.SSLCertVerificationError():
            text = f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            text = f"no encryption: {error.reason or 'it does not speak TLS here'} (see security and port)"
        case OSError():
            text = f"cannot connect: {error.strerror or error}"
        case _:
            text = f"the mail cannot be written: {type(error).__name__}"
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:MAX_REASON]


def _decoded(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
