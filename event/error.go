package event

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Code says what kind of error a caller met, and thereby what the caller can do.
type Code string

// The codes, all there are. Package api alone maps them to statuses of the wire.
const (
	CodeInvalid          Code = "invalid"
	CodeNotFound         Code = "not_found"
	CodeExists           Code = "exists"
	CodeRevisionConflict Code = "revision_conflict"
	CodeIDConflict       Code = "id_conflict"
	CodeCheckFailed      Code = "check_failed"
	CodeSessionExpired   Code = "session_expired"
	CodeStaleToken       Code = "stale_token"
	CodeAlreadyAcked     Code = "already_acked"
	CodeAlreadyAnswered  Code = "already_answered"
	CodeNoResponder      Code = "no_responder"
	CodeRunEnded         Code = "run_ended"
	CodeCompacted        Code = "compacted"
	CodeEpochChanged     Code = "epoch_changed"
	CodeTooLarge         Code = "too_large"
	CodeQuotaExceeded    Code = "quota_exceeded"
	CodeNoSpace          Code = "no_space"
	CodeOverloaded       Code = "overloaded"
	CodeNotLeader        Code = "not_leader"
	CodeUnavailable      Code = "unavailable"
	CodeOutcomeUnknown   Code = "outcome_unknown"
	CodeDeadlineExceeded Code = "deadline_exceeded"
	CodeUnauthenticated  Code = "unauthenticated"
	CodeDenied           Code = "denied"
	CodeInternal         Code = "internal"
)

// Codes returns every code, in the order of their declaration.
func Codes() []Code {
	return []Code{
		CodeInvalid, CodeNotFound, CodeExists, CodeRevisionConflict, CodeIDConflict,
		CodeCheckFailed, CodeSessionExpired, CodeStaleToken, CodeAlreadyAcked,
		CodeAlreadyAnswered, CodeNoResponder, CodeRunEnded, CodeCompacted, CodeEpochChanged,
		CodeTooLarge, CodeQuotaExceeded, CodeNoSpace, CodeOverloaded, CodeNotLeader, CodeUnavailable,
		CodeOutcomeUnknown, CodeDeadlineExceeded, CodeUnauthenticated, CodeDenied,
		CodeInternal,
	}
}

// Error is an error of edri's own vocabulary. Which fields besides Code and Message
// are set depends on the code.
type Error struct {
	Code    Code
	Message string

	// Stream, Expected and Actual belong to revision_conflict. Where a run's advance is refused,
	// for whatever reason, Stream is its history.
	Stream   string
	Expected Expected
	Actual   Revision
	// Position belongs to id_conflict: where the first event with this id stands; and to
	// already_acked: where the commit stands that settled the event, 0 if that is not
	// known any more.
	Position Position
	// Size and Max belong to too_large, in the unit that the message names.
	Size, Max int64
	// First belongs to compacted: the first position that is still there.
	First Position
	// Leader belongs to not_leader: the leader's API URL, empty if not known.
	Leader string
	// Violations belongs to check_failed.
	Violations []Violation
}

// Violation is why one operation of a commit failed.
type Violation struct {
	// Op is the operation's index in the commit, from 0.
	Op  int
	Err *Error
}

// Error returns the code and the message.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	if e.Message != "" {
		b.WriteString(": ")
		b.WriteString(e.Message)
	}
	for _, v := range e.Violations {
		fmt.Fprintf(&b, "; op %d: %v", v.Op, v.Err)
	}
	return b.String()
}

// Errorf returns an error with the code and a message formatted as by fmt.Sprintf.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// TooLarge returns a too_large error. What names the thing and its unit, as in
// "event data in bytes".
func TooLarge(what string, size, limit int64) *Error {
	e := Errorf(CodeTooLarge, "%s: %d is more than %d", what, size, limit)
	e.Size, e.Max = size, limit
	return e
}

// RevisionConflict returns the error of an append whose stream is not at the expected
// revision.
func RevisionConflict(stream string, expected Expected, actual Revision) *Error {
	e := Errorf(CodeRevisionConflict, "stream %s is at revision %d, expected %s", quote(stream), actual, expected)
	e.Stream, e.Expected, e.Actual = stream, expected, actual
	return e
}

// IDConflict returns the error of an event whose (source, id) stands at position first
// with other content.
func IDConflict(source, id string, first Position) *Error {
	e := Errorf(CodeIDConflict, "source %s, id %s is at position %d with other content", quote(source), quote(id), first)
	e.Position = first
	return e
}

// CodeOf returns the code that the error chain carries: that of an *Error, else
// deadline_exceeded or unavailable for an ended context, else internal. It is empty
// for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.DeadlineExceeded):
		return CodeDeadlineExceeded
	case errors.Is(err, context.Canceled):
		return CodeUnavailable
	default:
		return CodeInternal
	}
}

// maxQuoted is how many bytes of an offending value a message shows.
const maxQuoted = 64

// quote returns s in Go's quoting, cut to maxQuoted bytes.
func quote[T text](s T) string {
	if len(s) <= maxQuoted {
		return strconv.Quote(string(s))
	}
	cut := maxQuoted
	for cut > maxQuoted-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%q… (%d bytes)", string(s[:cut]), len(s))
}
