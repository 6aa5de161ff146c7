package workflows

import (
	"context"
	"iter"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// Cluster is what workers of workflows need of a cluster. Package client has one.
type Cluster interface {
	// Define makes a definition known, or newer than it was. It goes on trying until ctx
	// ends; exists says that the one there has a higher version, which is fine for a
	// worker of runs that began before.
	Define(ctx context.Context, d Definition) error
	// Work makes the caller a worker of the leader's. The session ends with an error when
	// the leader changes or cannot be reached, or ctx ends; then the caller works again, and
	// shows what it holds.
	Work(ctx context.Context, w Worker) (Session, error)
	// History reads the history of a run, in the order of its ranges, at least up to their
	// ends. The sequence ends with an error.
	History(ctx context.Context, run string, ranges []Range) iter.Seq2[event.Recorded, error]
}

// Definition is what a cluster knows of a workflow's code.
type Definition struct {
	Name        string
	Version     uint32 // runs that are started without one get the highest
	Description string
	// Attributes that its runs may have, by which they are found; at most 20.
	Attributes map[string]AttributeType
	// Ended runs are forgotten after RetentionAge (0: 7 days), and the oldest of them when
	// there are more than RetentionCount (0: no limit).
	RetentionAge   time.Duration
	RetentionCount uint64
}

// AttributeType is that of an attribute's values.
type AttributeType string

// The types. Times are RFC 3339 text.
const (
	TypeString AttributeType = "string"
	TypeNumber AttributeType = "number"
	TypeBool   AttributeType = "bool"
	TypeTime   AttributeType = "time"
)

// Worker says who works.
type Worker struct {
	Name string
	// Workflows are those whose runs it can advance: of each one version.
	Workflows []Workflow
	// Credits are how many runs it can be given before it adds some.
	Credits int
	// Held are the runs that it had before and still has.
	Held []Held
}

// Workflow names a version of a workflow's code.
type Workflow struct {
	Type    string
	Version uint32
}

// Held is a run that a worker has in its memory.
type Held struct {
	Number  uint64
	Advance uint64 // the last one that it knows to be committed
}

// Session is a worker's conversation with the leader.
type Session interface {
	// Receive returns the next messages, at least one. It returns an error when the
	// session has ended, and after Close.
	Receive() ([]Message, error)
	// Send never waits for the leader. What it does on a session that has ended is lost.
	Send(Reply)
	// Close ends the session. Gracefully, what the worker holds is given to others at once
	// and nothing counts as lost; else it may be back for it within two seconds.
	Close(graceful bool)
}

// Run names a run and says how far it has come.
type Run struct {
	ID      string
	Number  uint64 // that no other run has, and none has had
	Type    string
	Version uint32
	Advance uint64 // number of the last that was committed, 0: none was
	Entry   uint64 // number of the last entry of the inbox that was consumed
	// Correlation is in each event of the run, and in those of its effects.
	Correlation string
	History     []Range
	Ended       bool
}

// Range is a part of the stream run/ID, both ends in it.
type Range struct {
	From, To event.Revision
	// Since is a position at or before its first event; 0: not known.
	Since event.Position
}

// Entry is what has come for a run and was not consumed yet. When an advance consumes it,
// it becomes an event of the history with the same kind, time and data.
type Entry struct {
	Number uint64 // counts from 1 within the run
	Kind   string
	Time   time.Time
	Data   []byte // JSON
}

// Message is what the leader tells a worker; one of the fields is set.
type Message struct {
	Assign   *Assign
	Entries  *Entries
	Advanced *Advanced
	Query    *Query
	Drain    *Drain
	Revoke   *Revoke
}

// Assign gives the worker a run, to hold until it releases it, it ends or it is revoked.
// The entries are those that were not consumed. It takes one credit.
type Assign struct {
	Run     Run
	Entries []Entry
	// Events are the beginning of the history, as far as the leader had it at hand: of a
	// run that begins, KindStarted. The worker reads the rest.
	Events []event.Recorded
}

// Entries are more entries of a run that the worker holds.
type Entries struct {
	Number  uint64
	Entries []Entry
}

// Advanced is the result of an advance. With Err nothing of it took effect: by
// revision_conflict with the stream of the history the run is another worker's, by
// check_failed it was to end with entries that were not consumed, by another error its
// effects cannot be, or with the stream of the history it itself.
// By outcome_unknown, unavailable, not_leader and overloaded it may be sent again, the
// same with the same nonce.
type Advanced struct {
	Number  uint64
	Advance uint64
	Err     *event.Error
	// Revision is, without Err, where the history ends; 0: not told.
	Revision event.Revision
}

// Query asks about a run, which the worker may hold or not. It takes no credit.
type Query struct {
	ID    uint64
	Run   Run
	Name  string
	Input []byte // JSON, may be empty
}

// Drain asks the worker to begin nothing more for a run (no steps), to commit the results
// of the steps that are under way and to release it then.
type Drain struct{ Number uint64 }

// Revoke takes a run from the worker, at once.
type Revoke struct {
	Number uint64
	Reason string
}

// Reply is what a worker tells the leader; one of the fields is set.
type Reply struct {
	Advance *Advance
	Release *Release
	Answer  *Answer
	Credits int
	// Alive says nothing else: a worker that is silent for 10 s is lost.
	Alive bool
}

// Release gives a run back that is at rest, or that the worker will not go on with. It
// gives no credit; Credits does.
type Release struct{ Number uint64 }

// Answer is the result of a query.
type Answer struct {
	ID     uint64
	Result []byte // JSON
	Err    *Error
}

// Advance is the progress of a run, all of it or nothing in one commit. Only another
// advance with the same number fails it.
type Advance struct {
	Run    string
	Number uint64 // of the run
	// Advance is one more than that of the last advance.
	Advance uint64
	// Nonce tells a repeat from another worker's advance.
	Nonce uint64
	// Records are in the order in which a replay is to see them.
	Records []Record
	// Busy says that the worker has steps under way, or that the code is to be called once
	// the run is resumed: the run needs a worker though nothing has come for it.
	Busy bool
	// Block pauses the run, until it is resumed or retried.
	Block *Block
	// Carry are signals for the run that is to continue this one, where they are too many for
	// its End. CarryFrom is how many went ahead before them; 0 begins anew.
	Carry     []Signal
	CarryFrom int
	// Unreceived is how many signals of the history the code has not received, and
	// UnreceivedBytes about what these have: the run takes so many.
	Unreceived, UnreceivedBytes int
	// Effects are of one of the steps whose result is recorded. Their events have an id, a
	// source and the run's correlation.
	Effects managers.Effects
}

// Block says why a run cannot go on.
type Block struct {
	Reason  string // short: "divergence", "panic", "step failed"
	Details []byte // JSON
}

// Record is one event of the history, either an entry that is consumed or one of the
// worker's own.
type Record struct {
	// Entry is the number of the entry, the next one after the last; 0: none.
	Entry uint64
	// Reject refuses the update of the entry: it leaves no history.
	Reject *Error

	Kind string
	Time time.Time
	Data []byte // JSON
	// Do is what the cluster is to do with it; nil: nothing.
	Do Command
}

// Command is one of SetTimer, CancelTimer, SendRequest, DropRequest, AwaitEvent,
// DropEvent, StartChild, CancelChild, FinishUpdate, SetAttributes and End.
type Command interface{ command() }

// SetTimer sets the timer of a sequence number. When it is due the entry KindTimerFired
// comes.
type SetTimer struct {
	Seq   uint64
	After time.Duration
}

// CancelTimer cancels it. Where it has fired, its entry is there or will be.
type CancelTimer struct{ Seq uint64 }

// SendRequest sends a request of the router. One entry comes of it: KindResponse or
// KindRequestExpired.
type SendRequest struct {
	Seq     uint64
	Stream  string
	Event   event.Event // of kind request
	Timeout time.Duration
}

// DropRequest ends the wait for a response.
type DropRequest struct{ Seq uint64 }

// AwaitEvent waits for the first event after this commit that has the type, matches the
// filter and has each value. The entry KindEvent comes of it.
type AwaitEvent struct {
	Seq    uint64
	Type   string
	Filter *event.Filter // nil: all
	// Match are values by name: "subject", "source", "stream", an extension's name or a
	// JSON pointer into the data, such as "/order/id".
	Match map[string]string
}

// DropEvent ends the wait for an event.
type DropEvent struct{ Seq uint64 }

// StartChild starts a run whose end comes as an entry (KindChildCompleted,
// KindChildFailed). One that cannot be started has failed.
type StartChild struct {
	Seq   uint64
	Start Start
	// OnClose says what becomes of it when this run ends.
	OnClose ClosePolicy
}

// ClosePolicy says what becomes of a child whose parent ends.
type ClosePolicy string

// The policies. A parent that continues as new keeps no children.
const (
	CloseTerminate ClosePolicy = "terminate" // the default
	CloseCancel    ClosePolicy = "cancel"
	CloseAbandon   ClosePolicy = "abandon"
)

// CancelChild asks a child to end.
type CancelChild struct {
	Seq    uint64
	Reason string
}

// FinishUpdate answers an update.
type FinishUpdate struct {
	ID     string
	Result []byte // JSON
	Err    *Error
}

// SetAttributes sets attributes of the run, by which it is found; a nil value removes one.
type SetAttributes struct{ Attributes map[string]any }

// End ends the run.
type End struct {
	Status Status
	Result []byte // JSON, of Completed
	Err    *Error // of Failed and Canceled
	// Next is the run that goes on in its place, of Continued: its Input, Version (0: the
	// same), and what was not read of signals: these, or as many as went ahead (Advance.Carry).
	Next    *Start
	Signals []Signal
	Carried int
	// Insist ends it with entries that were not consumed too: they are recorded as
	// unhandled, updates among them are answered.
	Insist bool
}

func (SetTimer) command()      {}
func (CancelTimer) command()   {}
func (SendRequest) command()   {}
func (DropRequest) command()   {}
func (AwaitEvent) command()    {}
func (DropEvent) command()     {}
func (StartChild) command()    {}
func (CancelChild) command()   {}
func (FinishUpdate) command()  {}
func (SetAttributes) command() {}
func (End) command()           {}

// Start is how a run begins.
type Start struct {
	ID      string // empty: the client makes one
	Type    string
	Version uint32 // 0: the highest that is known
	Input   []byte // JSON, may be empty
	Reuse   ReusePolicy
	// Conflict says what happens where a run of the ID is under way.
	Conflict ConflictPolicy
	// Delay is how long the run waits before its code is called.
	Delay time.Duration
	// Timeout ends the run with a failure, from its begin on; 0: never.
	Timeout    time.Duration
	Attributes map[string]any
	Memo       []byte // JSON, at most 32 KiB; kept, shown, not searched
	// Correlation is in each event of the run and of what it does; default: the ID.
	Correlation string
	// Signal is received first; also where the run is there already (signal-with-start).
	Signal *Signal
}

// Signal is a message to a run.
type Signal struct {
	Name  string
	Input []byte // JSON, may be empty
}

// ReusePolicy says whether the ID of a run that has ended may be used again.
type ReusePolicy string

// The policies.
const (
	ReuseAlways   ReusePolicy = "always" // the default
	ReuseIfFailed ReusePolicy = "if-failed"
	ReuseNever    ReusePolicy = "never"
)

// ConflictPolicy says what a start does where a run of its ID is under way.
type ConflictPolicy string

// The policies.
const (
	ConflictFail      ConflictPolicy = "fail" // exists; the default
	ConflictUse       ConflictPolicy = "use"  // that run is the result
	ConflictTerminate ConflictPolicy = "terminate"
)

// Status is how a run stands.
type Status string

// The statuses. A paused run is under way, with Paused set beside it.
const (
	Running    Status = "running"
	Completed  Status = "completed"
	Failed     Status = "failed"
	Canceled   Status = "canceled"
	Terminated Status = "terminated"
	TimedOut   Status = "timed_out"
	Continued  Status = "continued"
)
