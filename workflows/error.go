package workflows

import "encoding/json"

// Error is an error as the journal keeps it. It is what a workflow's code gets from a
// step, a child or a request that failed, wherever that ran.
type Error struct {
	// Type names the kind of error, for errors.Is and for policies: what the code that
	// made it says, else the Go type's name. Those of edri itself begin with "edri.".
	Type    string `json:"type"`
	Message string `json:"message"`
	// Details are what the code added, JSON.
	Details json.RawMessage `json:"details,omitempty"`
	// Final says that trying again is of no use.
	Final bool `json:"final,omitempty"`

	// signal is the name of the signal that could not be decoded; empty: it is another error.
	signal string
}

// Types of errors of edri itself.
const (
	ErrorTimeout    = "edri.timeout"     // Details: which of the timeouts
	ErrorCanceled   = "edri.canceled"    // the run was asked to end
	ErrorTerminated = "edri.terminated"  // a child was ended from outside
	ErrorPanic      = "edri.panic"       // a step panicked
	ErrorWorkerLost = "edri.worker_lost" // the last attempt's worker is gone
	ErrorTooLarge   = "edri.too_large"   // larger than a history can take, see docs/workflows.md
	ErrorNotFound   = "edri.not_found"
	ErrorExists     = "edri.exists"
	ErrorInvalid    = "edri.invalid"
	ErrorRefused    = "edri.refused"   // the effects of a step cannot be committed
	ErrorUnhandled  = "edri.unhandled" // an update whose run ended before it looked
	ErrorUnknown    = "edri.outcome_unknown"
	ErrorQuota      = "edri.quota_exceeded" // more steps, timers or children than a run may have open
)

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Type
	}
	return e.Type + ": " + e.Message
}

// Is reports whether target is an Error of the same type, so that errors.Is works with
// &Error{Type: "..."}.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Type == e.Type && (t.Message == "" || t.Message == e.Message)
}
