package workflows

import (
	"encoding/json"
	"time"

	"github.com/edri-io/edri/event"
)

// HistoryPrefix begins the type of each event of a history; the kind is behind it.
const HistoryPrefix = "edri.workflow."

// HistoryStream returns the stream of a run's history.
func HistoryStream(run string) string { return "run/" + run }

// Kinds of entries, which the cluster makes, with the type of their data.
const (
	KindStarted         = "started"           // Started; the first event, never an entry
	KindSignal          = "signal.received"   // SignalReceived
	KindUpdate          = "update.accepted"   // UpdateReceived
	KindTimerFired      = "timer.fired"       // Seq
	KindResponse        = "request.completed" // ResponseReceived
	KindRequestExpired  = "request.expired"   // Seq
	KindEvent           = "event.received"    // EventReceived
	KindChildCompleted  = "child.completed"   // ChildEnded
	KindChildFailed     = "child.failed"      // ChildEnded
	KindCancelRequested = "cancel.requested"  // Note
	// KindWorkerLost says that the worker which had the run is gone: the steps that were
	// under way count one attempt.
	KindWorkerLost = "worker.lost" // Note
	// KindRetryRequested lets the steps that blocked the run begin anew.
	KindRetryRequested = "retry.requested" // Note
	// KindReset is where a run that was reset begins to differ from the one before: what its
	// code waited for there it asks for again. It is in the history, and never an entry.
	KindReset = "reset" // ResetRecord
)

// Kinds of a worker's records, with the type of their data.
const (
	KindStepStarted     = "step.started"   // StepRecord; only of steps that run at most once
	KindStepHeartbeat   = "step.heartbeat" // StepRecord; the attempt goes on
	KindStepCompleted   = "step.completed" // StepRecord
	KindStepFailed      = "step.failed"    // StepRecord; with SetTimer where it is tried again
	KindTimerSet        = "timer.set"      // TimerRecord, with SetTimer
	KindTimerCanceled   = "timer.canceled" // Seq, with CancelTimer
	KindRequestSent     = "request.sent"   // RequestRecord, with SendRequest
	KindRequestDropped  = "request.dropped"
	KindEventAwaited    = "event.awaited" // AwaitRecord, with AwaitEvent
	KindEventDropped    = "event.dropped"
	KindChildStarted    = "child.started"    // ChildRecord, with StartChild
	KindChildCanceled   = "child.canceled"   // Seq, with CancelChild
	KindUpdateCompleted = "update.completed" // UpdateRecord, with FinishUpdate
	KindVersionMarked   = "version.marked"   // VersionRecord
	KindAttributesSet   = "attributes.set"   // the attributes, with SetAttributes
	KindCompleted       = "completed"        // EndRecord, with End
	KindFailed          = "failed"           // EndRecord, with End
	KindCanceled        = "canceled"         // EndRecord, with End
	KindContinued       = "continued"        // EndRecord, with End
)

// Kinds of what the cluster adds for those who look; a replay passes over them.
const (
	KindPaused     = "paused"     // Note
	KindResumed    = "resumed"    // Note
	KindTerminated = "terminated" // Note
	KindTimedOut   = "timed_out"  // Note
	KindUnhandled  = "unhandled"  // Unhandled
)

// Started is how a run began.
type Started struct {
	Type       string          `json:"type"`
	Version    uint32          `json:"version"`
	Input      json.RawMessage `json:"input,omitempty"`
	Attributes json.RawMessage `json:"attributes,omitempty"`
	Memo       json.RawMessage `json:"memo,omitempty"`
	// Seed is that of the run's random numbers and ids, decimal.
	Seed   string `json:"seed"`
	Parent string `json:"parent,omitempty"` // ID/number
	// Continues is the number of the run that went before, in the same chain.
	Continues string `json:"continues,omitempty"`
	// Signals were not read by the run that went before.
	Signals []SignalReceived `json:"signals,omitempty"`
}

// SignalReceived is a signal.
type SignalReceived struct {
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input,omitempty"`
}

// UpdateReceived is an update that was accepted, or as an entry one that may be.
type UpdateReceived struct {
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input,omitempty"`
}

// Seq is the sequence number of what an event is about: the run's code asks for things
// in the same order whenever it is run, which numbers them from 1.
type Seq struct {
	Seq uint64 `json:"seq"`
}

// ResponseReceived is the response to a request.
type ResponseReceived struct {
	Seq      uint64         `json:"seq"`
	Position event.Position `json:"position"`
	// Response is the event, in the JSON of CloudEvents.
	Response json.RawMessage `json:"response"`
}

// EventReceived is an event that was awaited.
type EventReceived struct {
	Seq      uint64          `json:"seq"`
	Position event.Position  `json:"position"`
	Stream   string          `json:"stream"`
	Event    json.RawMessage `json:"event,omitempty"`
	// Error is in the place of an event that is larger than a history can take.
	Error *Error `json:"error,omitempty"`
}

// ChildEnded is how a child ended.
type ChildEnded struct {
	Seq    uint64          `json:"seq"`
	Status Status          `json:"status"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// Note is a text for people.
type Note struct {
	Reason  string          `json:"reason,omitempty"`
	Details json.RawMessage `json:"details,omitempty"`
}

// StepRecord is an attempt of a step.
type StepRecord struct {
	Seq     uint64          `json:"seq"`
	Name    string          `json:"name"`
	Attempt int             `json:"attempt"`
	Started time.Time       `json:"started"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *Error          `json:"error,omitempty"`
	// RetryIn is how long the next attempt waits, of a failed one; absent: there is none.
	RetryIn string `json:"retry_in,omitempty"`
	// Blocks says that the run waits for a person.
	Blocks bool `json:"blocks,omitempty"`
	// Heartbeat are the details of the attempt's last heartbeat, for the next attempt;
	// absent: those of the attempts before hold.
	Heartbeat json.RawMessage `json:"heartbeat,omitempty"`
}

// TimerRecord is a timer.
type TimerRecord struct {
	Seq uint64 `json:"seq"`
	For string `json:"for"`
}

// RequestRecord is a request, or an attempt at one.
type RequestRecord struct {
	Seq     uint64 `json:"seq"`
	Name    string `json:"name"` // the event's type
	Attempt int    `json:"attempt"`
	Timeout string `json:"timeout"`
}

// AwaitRecord is a wait for an event.
type AwaitRecord struct {
	Seq    uint64            `json:"seq"`
	Type   string            `json:"type"`
	Match  map[string]string `json:"match,omitempty"`
	Filter *event.Filter     `json:"filter,omitempty"`
}

// ChildRecord is a child.
type ChildRecord struct {
	Seq     uint64      `json:"seq"`
	ID      string      `json:"id"`
	Type    string      `json:"type"`
	OnClose ClosePolicy `json:"on_close"`
}

// UpdateRecord is the answer to an update.
type UpdateRecord struct {
	ID     string          `json:"id"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// VersionRecord says which way the code went at a change.
type VersionRecord struct {
	Change  string `json:"change"`
	Version int    `json:"version"`
}

// EndRecord is how a run ended.
type EndRecord struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
	Input  json.RawMessage `json:"input,omitempty"` // of the run that continues
}

// Unhandled is an entry that the run ended without.
type Unhandled struct {
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data,omitempty"`
}

// ResetRecord says what a run was reset from.
type ResetRecord struct {
	From     string         `json:"from"`     // number
	Revision event.Revision `json:"revision"` // the last of its history that holds
	Reason   string         `json:"reason,omitempty"`
}
