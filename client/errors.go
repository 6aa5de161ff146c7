package client

import (
	"errors"
	"fmt"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/event"
)

// ErrClosed is the cause of errors of calls that meet a closed client.
var ErrClosed = errors.New("client is closed")

// errorDetail is the type of the detail that carries a server's own error.
const errorDetail = "edri.v1.Error"

// fromRPC turns what connect returns into an error of edri's vocabulary.
// Whatever kept the answer from arriving is unavailable.
func fromRPC(err error) *event.Error {
	var own *event.Error
	if errors.As(err, &own) {
		return own
	}
	var rpc *connect.Error
	if !errors.As(err, &rpc) {
		return event.Errorf(event.CodeUnavailable, "%v", err)
	}
	for _, d := range rpc.Details() {
		if d.Type() != errorDetail {
			continue
		}
		if e, err := event.DecodeError(d.Bytes()); err == nil && e.Code != "" {
			return e
		}
	}
	if !connect.IsWireError(err) {
		return event.Errorf(event.CodeUnavailable, "%s", rpc.Message()) // without connect's own code
	}
	return event.Errorf(fromStatus(rpc.Code()), "%s", rpc.Message())
}

// answered reports whether the error came from the server, so that it lives.
func answered(err error) bool {
	var own *event.Error
	return errors.As(err, &own) || connect.IsWireError(err)
}

// fromStatus is for a status that carries no error of edri's: connect's own on
// the server, or that of something between.
func fromStatus(code connect.Code) event.Code {
	switch code {
	case connect.CodeInvalidArgument, connect.CodeOutOfRange:
		return event.CodeInvalid
	case connect.CodeResourceExhausted:
		return event.CodeTooLarge
	case connect.CodeUnauthenticated:
		return event.CodeUnauthenticated
	case connect.CodePermissionDenied:
		return event.CodeDenied
	case connect.CodeUnimplemented, connect.CodeNotFound:
		// Not an edri server, or one of another version.
		return event.CodeInternal
	default:
		return event.CodeUnavailable
	}
}

// retryable reports whether another try, elsewhere or later, may succeed where
// one ended with this code and had no effect.
func retryable(code event.Code) bool {
	switch code {
	case event.CodeNotLeader, event.CodeUnavailable, event.CodeOverloaded, event.CodeDeadlineExceeded:
		return true
	}
	return false
}

// decodeError decodes the error of a result; what cannot be decoded is internal.
func decodeError(b []byte) *event.Error {
	e, err := event.DecodeError(b)
	if err != nil {
		return event.Errorf(event.CodeInternal, "decode the server's error: %v", err)
	}
	return e
}

// withCause keeps both: errors.As finds e, errors.Is finds the cause.
func withCause(e *event.Error, cause error) error {
	if cause == nil {
		return e
	}
	return fmt.Errorf("%w: %w", e, cause)
}
