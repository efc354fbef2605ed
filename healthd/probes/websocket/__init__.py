"""The `websocket` probe: the handshake, a ping, a message and its answer; also Socket.IO."""

from healthd.probes.websocket.probe import WebSocketProbe

__all__ = ["WebSocketProbe"]
