package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// status is what an error code is on the wire.
type status struct {
	rpc  connect.Code
	http int
}

// statuses has every code. Where a retry of the same may succeed, it is
// unavailable (503); clients of both protocols do that by themselves.
var statuses = map[event.Code]status{
	event.CodeInvalid:          {connect.CodeInvalidArgument, http.StatusBadRequest},
	event.CodeNotFound:         {connect.CodeNotFound, http.StatusNotFound},
	event.CodeExists:           {connect.CodeAlreadyExists, http.StatusConflict},
	event.CodeRevisionConflict: {connect.CodeAborted, http.StatusConflict},
	event.CodeIDConflict:       {connect.CodeAlreadyExists, http.StatusConflict},
	event.CodeCheckFailed:      {connect.CodeAborted, http.StatusConflict},
	event.CodeSessionExpired:   {connect.CodeFailedPrecondition, http.StatusConflict},
	event.CodeStaleToken:       {connect.CodeFailedPrecondition, http.StatusConflict},
	event.CodeAlreadyAcked:     {connect.CodeFailedPrecondition, http.StatusConflict},
	event.CodeAlreadyAnswered:  {connect.CodeFailedPrecondition, http.StatusConflict},
	event.CodeNoResponder:      {connect.CodeFailedPrecondition, http.StatusConflict},
	event.CodeRunEnded:         {connect.CodeFailedPrecondition, http.StatusConflict},
	event.CodeCompacted:        {connect.CodeOutOfRange, http.StatusGone},
	event.CodeEpochChanged:     {connect.CodeFailedPrecondition, http.StatusConflict},
	event.CodeTooLarge:         {connect.CodeInvalidArgument, http.StatusRequestEntityTooLarge},
	event.CodeQuotaExceeded:    {connect.CodeResourceExhausted, http.StatusTooManyRequests},
	event.CodeNoSpace:          {connect.CodeResourceExhausted, http.StatusInsufficientStorage},
	event.CodeOverloaded:       {connect.CodeUnavailable, http.StatusServiceUnavailable},
	event.CodeNotLeader:        {connect.CodeUnavailable, http.StatusServiceUnavailable},
	event.CodeUnavailable:      {connect.CodeUnavailable, http.StatusServiceUnavailable},
	event.CodeOutcomeUnknown:   {connect.CodeUnknown, http.StatusGatewayTimeout},
	event.CodeDeadlineExceeded: {connect.CodeDeadlineExceeded, http.StatusGatewayTimeout},
	event.CodeUnauthenticated:  {connect.CodeUnauthenticated, http.StatusUnauthorized},
	event.CodeDenied:           {connect.CodePermissionDenied, http.StatusForbidden},
	event.CodeInternal:         {connect.CodeInternal, http.StatusInternalServerError},
}

// statusOf returns the code's status; a code without one is internal.
func statusOf(code event.Code) status {
	if s, ok := statuses[code]; ok {
		return s
	}
	return statuses[event.CodeInternal]
}

// failures turns any error into one that may leave the node.
type failures struct {
	logger *slog.Logger
	// corrupt is told of damage that a read met.
	corrupt func(error)
}

// public returns the error as one of edri's own. Of what is not, the caller
// gets a reference by which the operator finds the rest in the log.
func (f *failures) public(ctx context.Context, err error) *event.Error {
	var own *event.Error
	switch {
	case errors.As(err, &own) && own.Code != event.CodeInternal:
		return own
	case errors.Is(err, store.ErrCorrupt):
		f.corrupt(err)
	case errors.Is(err, context.DeadlineExceeded):
		return event.Errorf(event.CodeDeadlineExceeded, "the request's time is over")
	case errors.Is(err, context.Canceled), ctx.Err() != nil:
		return event.Errorf(event.CodeUnavailable, "the request was cancelled")
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	reference := hex.EncodeToString(b[:])
	f.logger.Error("request failed", "reference", reference, "error", err)
	return event.Errorf(event.CodeInternal, "internal error, reference %s in the node's log", reference)
}

// rpc returns the error as connect sends it, with an edri.v1.Error as detail.
func (f *failures) rpc(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var already *connect.Error
	if errors.As(err, &already) {
		return err // connect's own, such as a stream that the caller broke off
	}
	return rpcError(f.public(ctx, err))
}

func rpcError(e *event.Error) *connect.Error {
	out := connect.NewError(statusOf(e.Code).rpc, e)
	message := &edriv1.Error{}
	if err := proto.Unmarshal(event.AppendError(nil, e), message); err == nil {
		if detail, err := connect.NewErrorDetail(message); err == nil {
			out.AddDetail(detail)
		}
	}
	return out
}
