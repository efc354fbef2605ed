"""What AWS and its client library say when something is wrong, as ProbeErrors with a stable kind."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from healthd.model.redact import Redactor
from healthd.probes.aws.operations import Operation
from healthd.probes.base import ProbeError
from healthd.probes.network import error_kind, explain_os_error
from healthd.probes.tls_errors import explain_tls_error

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

__all__ = ["AwsError", "explain_answer", "explain_failure"]

_SHOWN = 300  # characters of what AWS says
_DENIED = re.compile(
    r"(?:User: )?(?P<who>arn:\S+)? ?is not authorized to perform: (?P<action>[\w*:-]+)"
    r"(?: on resource: (?P<resource>\S+))?(?P<why> (?:with|because)[^.]*)?"
)

# By the code of an error answer; `{}` stands for the words of AWS, left out where they may hold what was signed.
_KINDS: tuple[tuple[str, str, str], ...] = (
    (r"ExpiredToken(Exception)?|RequestExpired|ExpiredTokenException", "auth", "the AWS credentials have expired"),
    (
        r"InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId|AuthFailure|InvalidToken",
        "auth",
        "AWS does not know these credentials",
    ),
    (
        r"SignatureDoesNotMatch|InvalidSignatureException|IncompleteSignature\w*|MissingAuthenticationToken\w*",
        "auth",
        "AWS does not accept these credentials: the secret access key is wrong",
    ),
    (r"RequestTimeTooSkewed", "config", "this machine's clock is too far off for AWS"),
    (
        r"Throttl\w+|TooManyRequests\w*|RequestLimitExceeded|RequestThrottled\w*|SlowDown|BandwidthLimitExceeded"
        r"|LimitExceededException|PriorRequestNotComplete|ProvisionedThroughputExceeded\w*",
        "busy",
        "AWS throttles: too many requests, also after retries ({})",
    ),
    (r"PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraint\w*", "config", "another region: {}"),
    (r"OptInRequired|SubscriptionRequired\w*|InvalidRegion", "config", "not available to this account: {}"),
    (r"NoSuch\w+|\w*NotFound(\w*|Fault)?|\w+DoesNotExist|\w*Nonexistent\w*|404", "missing", "{}"),
    (r"ServiceUnavailable\w*|Internal\w*|\w*Unavailable(Exception)?|5\d\d", "unavailable", "AWS cannot answer now: {}"),
    (
        r"Validation\w*|Invalid\w*|Malformed\w*|MissingParameter\w*|BadRequest\w*|UnsupportedOperation\w*",
        "config",
        "AWS refuses the question: {}",
    ),
)
_FORBIDDEN = re.compile(
    r"AccessDenied\w*|UnauthorizedOperation|AuthorizationError\w*|NotAuthorized\w*|403|Forbidden\w*"
)


class AwsError(ProbeError):
    """An error answer. `code` is AWS' own word for it."""

    def __init__(self, reason: str, kind: str, code: str) -> None:
        super().__init__(reason, kind)
        self.code = code


def explain_answer(error: ClientError, operation: Operation, request: Mapping[str, Any]) -> AwsError:
    """Why there is no answer but an error."""
    said = error.response.get("Error", {})
    code = str(said.get("Code", ""))
    if error.operation_name == "AssumeRole":
        return _about_the_role(code, _words(str(said.get("Message") or "")))
    # HEAD has no body, and a server that is none of Amazon's may send a page
    message = _words(str(said.get("Message") or ""))
    if _FORBIDDEN.fullmatch(code):
        return AwsError(_forbidden(message, operation.needs(request)), "forbidden", code)
    for pattern, kind, words in _KINDS:
        if re.fullmatch(pattern, code):
            text = words.format(_about(message or code, request))
            return AwsError(f"{text} ({operation.action})", kind, code)
    return AwsError(f"{operation.action} failed: {code} {message}".rstrip(), "protocol", code)


def _about(message: str, request: Mapping[str, Any]) -> str:
    """The words of AWS, with the bucket, which they never name."""
    bucket = request.get("Bucket")
    return f"{message}: {bucket}" if bucket and str(bucket) not in message else message


def _forbidden(message: str, needs: str) -> str:
    said = _DENIED.search(message)
    if said is None:
        return f"forbidden: needs {needs}"
    resource = (said["resource"] or "").rstrip(".,")
    precise = said["action"] + (f" on {resource}" if resource and resource != "*" else "")
    why = said["why"] or ""
    return f"forbidden: needs {precise}" + (f" (as {said['who']}{why})" if said["who"] else why)


def _about_the_role(code: str, message: str) -> AwsError:
    if _FORBIDDEN.fullmatch(code):
        words = f"forbidden: needs sts:AssumeRole, and the role's trust policy must allow it: {message}"
        return AwsError(words, "forbidden", code)
    return AwsError(f"the role could not be assumed: {code}: {message}", "auth", code)


def _words(message: str) -> str:
    if "<html" in message.lower():
        return "an HTML page came back: is this an AWS endpoint?"
    return Redactor()(" ".join(message.split()))[:_SHOWN]


# By the client library's name of an error, the nearest ancestor first.
_FAILURES: Mapping[str, tuple[str, str]] = {
    "NoCredentialsError": (
        "auth",
        "no AWS credentials: looked for AWS_ACCESS_KEY_ID, the profile{profile} in ~/.aws, a web identity"
        " (AWS_WEB_IDENTITY_TOKEN_FILE), a container's role and the instance's role",
    ),
    "PartialCredentialsError": ("auth", "half of the AWS credentials: {error}"),
    "CredentialRetrievalError": ("auth", "the AWS credentials could not be had: {error}"),
    "MetadataRetrievalError": ("auth", "the AWS credentials could not be had: {error}"),
    "TokenRetrievalError": ("auth", "the AWS credentials could not be had: {error}"),
    "SSOError": ("auth", "the single sign-on session is over: {error}"),
    "LoginError": ("auth", "the log-in is over: {error}"),
    "ProfileNotFound": ("config", "there is no AWS profile{profile}"),
    "ConfigParseError": ("config", "the AWS configuration file cannot be read"),
    "ConfigNotFound": ("config", "the AWS configuration file cannot be read"),
    "InfiniteLoopConfigError": ("config", "the AWS profiles refer to each other in a circle"),
    "InvalidConfigError": ("config", "the AWS configuration is wrong: {error}"),
    "ParamValidationError": ("config", "a parameter is not acceptable: {error}"),
    "BaseEndpointResolverError": ("config", "no such AWS service in region {region}"),
    "EndpointProviderError": ("config", "no such AWS service in region {region}: {error}"),
    "InvalidRegionError": ("config", "{error}"),
    "InvalidProxiesConfigError": ("config", "the proxy of the environment cannot be used"),
    "NotAwsError": ("protocol", "what answers at {host} is not AWS"),
    "ResponseParserError": ("protocol", "what answers at {host} is not AWS"),
    "ProxyConnectionError": ("network", "the proxy to {host} cannot be reached"),
    "ConnectTimeoutError": ("timeout", "no connection to {host} within 3s"),
    "ReadTimeoutError": ("timeout", "no answer from {host} within 10s"),
    "ConnectionClosedError": ("closed", "{host} closed the connection before the end of its answer"),
    "IncompleteReadError": ("closed", "{host} closed the connection in the middle of the answer"),
}


def explain_failure(error: Exception, *, profile: str | None, region: str, host: str) -> ProbeError:
    """Why AWS could not be asked. `error` is one of botocore's; `host` where one is known before it was asked."""
    host = _host(error) or host
    cause = _cause(error)
    if isinstance(cause, ssl.SSLError):
        return ProbeError(f"{explain_tls_error(cause, host)} ({host})", "tls")
    names = [ancestor.__name__ for ancestor in type(error).__mro__]
    known = next((_FAILURES[name] for name in names if name in _FAILURES), None)
    if known is not None:
        called = f" {profile!r}" if profile else ""
        kind, words = known
        return ProbeError(words.format(error=_words(str(error)), profile=called, region=region, host=host), kind)
    if isinstance(cause, OSError):
        return ProbeError(f"{explain_os_error(cause, host)} ({host})", error_kind(cause))
    return ProbeError(f"AWS could not be asked: {_words(str(error))}", "network")


def _host(error: Exception) -> str:
    url = getattr(error, "kwargs", {}).get("endpoint_url")
    return urlsplit(url).netloc if isinstance(url, str) else ""


def _cause(error: BaseException | None) -> BaseException | None:
    """The operating system's own error, which the client library wraps several times."""
    for _ in range(10):
        if error is None or (isinstance(error, OSError) and (error.errno or isinstance(error, ssl.SSLError))):
            return error
        inner = getattr(error, "kwargs", {}).get("error") if hasattr(error, "kwargs") else None
        error = inner or getattr(error, "reason", None) or error.__cause__ or error.__context__
        if not isinstance(error, BaseException):
            return None
    return None
