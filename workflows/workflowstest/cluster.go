package workflowstest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
	"github.com/edri-io/edri/workflows"
)

var _ workflows.Cluster = (*Cluster)(nil)

// Cluster is a cluster in memory.
type Cluster struct {
	mu       sync.Mutex
	defs     map[string]workflows.Definition
	numbers  uint64
	current  map[string]*run // by id, the last one
	runs     map[uint64]*run
	journal  []event.Recorded // everything, position 1 first
	streams  map[string][]event.Recorded
	ids      map[[2]string]bool // of events, by source and id
	keys     map[[2]string]managers.Key
	sessions []*session
	ready    []*run // that need a worker
	handlers map[string]Handler
	onAdv    func(*workflows.Advance) Fate
	queries  map[uint64]chan *workflows.Answer
	queryID  uint64
	advances int
}

// Handler answers the requests of a type. An error is a problem of status 500.
type Handler func(request event.Event) (data any, err error)

// NewCluster returns an empty cluster.
func NewCluster() *Cluster {
	return &Cluster{
		defs: make(map[string]workflows.Definition), current: make(map[string]*run), runs: make(map[uint64]*run),
		streams: make(map[string][]event.Recorded), ids: make(map[[2]string]bool),
		keys: make(map[[2]string]managers.Key), handlers: make(map[string]Handler),
		queries: make(map[uint64]chan *workflows.Answer),
	}
}

// run is a run, whose history is events of its stream.
type run struct {
	workflows.Run
	start   workflows.Start
	seed    uint64
	status  workflows.Status
	result  json.RawMessage
	failure *workflows.Error
	done    chan struct{} // closed at its end
	next    *run          // that continues it

	nonce    uint64
	entries  []workflows.Entry // not consumed
	arrived  uint64            // number of the last entry
	worker   *session
	missing  *session // that ended, and its worker may be back for the run
	queued   bool     // in Cluster.ready
	waits    bool     // for its start
	busy     bool
	blocked  *workflows.Block
	timers   map[uint64]*time.Timer
	timeout  *time.Timer
	requests map[uint64]event.Position
	awaits   map[uint64]workflows.AwaitEvent
	children map[uint64]*child
	updates  map[string]chan workflows.UpdateRecord

	parent    *run
	parentSeq uint64
	resetFrom *run
	carried   []workflows.Signal // for the run that continues it
	ahead     []workflows.Signal // the same, which went ahead of the end
}

// state is the run as it stands, for a worker.
func (r *run) state() workflows.Run {
	state := r.Run
	state.History = slices.Clone(r.History)
	return state
}

type child struct {
	run     *run
	onClose workflows.ClosePolicy
}

// Define makes a definition known.
func (c *Cluster) Define(_ context.Context, d workflows.Definition) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.defs[d.Name]; known.Version > d.Version {
		return event.Errorf(event.CodeExists, "workflow %s has version %d", d.Name, known.Version)
	}
	c.defs[d.Name] = d
	return nil
}

// History reads the history of a run.
func (c *Cluster) History(_ context.Context, id string, ranges []workflows.Range) iter.Seq2[event.Recorded, error] {
	return func(yield func(event.Recorded, error) bool) {
		c.mu.Lock()
		stream := slices.Clone(c.streams[workflows.HistoryStream(id)])
		c.mu.Unlock()
		for _, r := range ranges {
			for _, e := range stream {
				if e.Revision >= r.From && e.Revision <= r.To && !yield(e, nil) {
					return
				}
			}
		}
	}
}

// Start starts a run and returns its number.
func (c *Cluster) Start(s workflows.Start) (number uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.startLocked(s, nil, nil)
	if err != nil {
		return 0, err
	}
	return r.Number, nil
}

func (c *Cluster) startLocked(s workflows.Start, parent, continues *run) (*run, error) {
	d, ok := c.defs[s.Type]
	if !ok {
		return nil, event.Errorf(event.CodeNotFound, "workflow %q is not known", s.Type)
	}
	if s.Version == 0 {
		s.Version = d.Version
	}
	if s.ID == "" {
		s.ID = fmt.Sprintf("%s-%d", s.Type, c.numbers+1)
	}
	if before := c.current[s.ID]; before != nil && continues == nil {
		if madeBeforeReset(before, parent) {
			c.closeLocked(before, workflows.Terminated, nil, nil, "its parent was reset, and starts it again")
		} else if before.status == workflows.Running {
			switch {
			case s.Conflict == workflows.ConflictUse && parent == nil:
				if s.Signal != nil {
					c.signalLocked(before, *s.Signal)
				}
				return before, nil
			case s.Conflict == workflows.ConflictTerminate && before != parent:
				c.closeLocked(before, workflows.Terminated, nil, nil, "replaced")
			default:
				return nil, event.Errorf(event.CodeExists, "run %s is under way", s.ID)
			}
		} else if s.Reuse == workflows.ReuseNever || s.Reuse == workflows.ReuseIfFailed && before.status == workflows.Completed {
			return nil, event.Errorf(event.CodeExists, "run %s is there", s.ID)
		}
	}
	c.numbers++
	r := &run{
		start: s, seed: c.numbers * 7919, status: workflows.Running, done: make(chan struct{}),
		timers: make(map[uint64]*time.Timer), requests: make(map[uint64]event.Position),
		awaits: make(map[uint64]workflows.AwaitEvent), children: make(map[uint64]*child),
		updates: make(map[string]chan workflows.UpdateRecord), parent: parent,
	}
	r.Run = workflows.Run{ID: s.ID, Number: c.numbers, Type: s.Type, Version: s.Version, Correlation: cmp.Or(s.Correlation, s.ID)}
	c.current[s.ID], c.runs[r.Number] = r, r
	begun := workflows.Started{
		Type: s.Type, Version: s.Version, Input: s.Input, Memo: s.Memo, Seed: strconv.FormatUint(r.seed, 10),
	}
	if parent != nil {
		begun.Parent = fmt.Sprintf("%s/%d", parent.ID, parent.Number)
	}
	if continues != nil {
		begun.Continues = strconv.FormatUint(continues.Number, 10)
		begun.Signals = continuedSignals(continues)
	}
	c.recordLocked(r, workflows.KindStarted, stamp(), mustMarshal(begun))
	if s.Signal != nil {
		c.signalLocked(r, *s.Signal)
	}
	if s.Delay > 0 {
		r.waits = true
		time.AfterFunc(s.Delay, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			r.waits = false
			c.wakeLocked(r)
		})
	}
	if s.Timeout > 0 {
		r.timeout = time.AfterFunc(s.Delay+s.Timeout, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.closeLocked(r, workflows.TimedOut, nil, nil, "timeout")
		})
	}
	c.wakeLocked(r)
	return r, nil
}

func continuedSignals(r *run) (signals []workflows.SignalReceived) {
	for _, s := range r.carried {
		signals = append(signals, workflows.SignalReceived{Name: s.Name, Input: s.Input})
	}
	return signals
}

// findLocked returns the last run of an id.
func (c *Cluster) findLocked(id string) (*run, error) {
	r := c.current[id]
	if r == nil {
		return nil, event.Errorf(event.CodeNotFound, "run %q is not there", id)
	}
	return r, nil
}

// openLocked is findLocked for what an ended run does not take.
func (c *Cluster) openLocked(id string) (*run, error) {
	r, err := c.findLocked(id)
	if err == nil && r.status != workflows.Running {
		err = event.Errorf(event.CodeCheckFailed, "run %q is %s", id, r.status)
	}
	return r, err
}

// Signal sends a signal; its input is encoded as JSON.
func (c *Cluster) Signal(id, name string, input any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.openLocked(id)
	if err != nil {
		return err
	}
	c.signalLocked(r, workflows.Signal{Name: name, Input: mustMarshal(input)})
	return nil
}

func (c *Cluster) signalLocked(r *run, s workflows.Signal) {
	c.enterLocked(r, workflows.KindSignal, mustMarshal(workflows.SignalReceived{Name: s.Name, Input: s.Input}))
}

// Cancel asks a run to end.
func (c *Cluster) Cancel(id, reason string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.openLocked(id)
	if err == nil {
		c.enterLocked(r, workflows.KindCancelRequested, mustMarshal(workflows.Note{Reason: reason}))
	}
	return err
}

// Terminate ends a run.
func (c *Cluster) Terminate(id, reason string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.openLocked(id)
	if err == nil {
		c.closeLocked(r, workflows.Terminated, nil, nil, reason)
	}
	return err
}

// Retry lets a run that is blocked go on: steps without attempts left begin anew.
func (c *Cluster) Retry(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.openLocked(id)
	if err == nil && r.blocked == nil {
		err = event.Errorf(event.CodeCheckFailed, "run %q is not blocked", id)
	}
	if err == nil {
		r.blocked = nil
		c.enterLocked(r, workflows.KindRetryRequested, mustMarshal(workflows.Note{}))
	}
	return err
}

// Resume lets a run that is blocked go on, as it is.
func (c *Cluster) Resume(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.openLocked(id)
	if err == nil {
		r.blocked = nil
		c.recordLocked(r, workflows.KindResumed, stamp(), mustMarshal(workflows.Note{}))
		c.wakeLocked(r)
	}
	return err
}

// Update sends an update and waits for its result.
func (c *Cluster) Update(ctx context.Context, id, name string, input any) (json.RawMessage, error) {
	c.mu.Lock()
	r, err := c.openLocked(id)
	if err != nil {
		c.mu.Unlock()
		return nil, err
	}
	u := workflows.UpdateReceived{ID: fmt.Sprintf("u%d", r.arrived+1), Name: name, Input: mustMarshal(input)}
	answer := make(chan workflows.UpdateRecord, 1)
	r.updates[u.ID] = answer
	c.enterLocked(r, workflows.KindUpdate, mustMarshal(u))
	c.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a := <-answer:
		if a.Error != nil {
			return nil, a.Error
		}
		return a.Result, nil
	}
}

// Query asks about a run, which may have ended.
func (c *Cluster) Query(ctx context.Context, id, name string, input any) (json.RawMessage, error) {
	c.mu.Lock()
	r, err := c.findLocked(id)
	if err != nil {
		c.mu.Unlock()
		return nil, err
	}
	s := r.worker
	if s == nil {
		s = c.workerLocked(r, 0)
	}
	if s == nil {
		c.mu.Unlock()
		return nil, event.Errorf(event.CodeUnavailable, "no worker has version %d of workflow %s", r.Version, r.Type)
	}
	c.queryID++
	answer := make(chan *workflows.Answer, 1)
	c.queries[c.queryID] = answer
	s.pushLocked(workflows.Message{Query: &workflows.Query{ID: c.queryID, Run: r.state(), Name: name, Input: mustMarshal(input)}})
	c.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a := <-answer:
		if a.Err != nil {
			return nil, a.Err
		}
		return json.RawMessage(a.Result), nil
	}
}

// Result is how a run stands, or ended.
type Result struct {
	Number   uint64
	Status   workflows.Status
	Result   json.RawMessage
	Err      *workflows.Error
	Blocked  *workflows.Block // nil: it is not
	Advances uint64
}

// Look returns how the last run of an id stands.
func (c *Cluster) Look(id string) (Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.findLocked(id)
	if err != nil {
		return Result{}, err
	}
	return Result{r.Number, r.status, r.result, r.failure, r.blocked, r.Advance}, nil
}

// Wait waits for the end of a run, and of those that continue it.
func (c *Cluster) Wait(ctx context.Context, id string) (Result, error) {
	for {
		c.mu.Lock()
		r, err := c.findLocked(id)
		c.mu.Unlock()
		if err != nil {
			return Result{}, err
		}
		select {
		case <-ctx.Done():
			return Result{}, ctx.Err()
		case <-r.done:
		}
		if r.status != workflows.Continued {
			return c.Look(id)
		}
	}
}

// Recorded returns the history of a run by number.
func (c *Cluster) Recorded(number uint64) []event.Recorded {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.runs[number]; r != nil {
		return c.eventsLocked(r.ID, r.History)
	}
	return nil
}

// eventsLocked returns the events of a history.
func (c *Cluster) eventsLocked(id string, history []workflows.Range) (found []event.Recorded) {
	stream := c.streams[workflows.HistoryStream(id)]
	for _, h := range history {
		found = append(found, stream[h.From-1:h.To]...)
	}
	return found
}

// Stream returns the events of a stream.
func (c *Cluster) Stream(name string) []event.Recorded {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.streams[name])
}

// Key returns the value of a key.
func (c *Cluster) Key(bucket, key string) (managers.Key, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.keys[[2]string{bucket, key}]
	return k, ok
}

// Advances returns how many advances were committed.
func (c *Cluster) Advances() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.advances
}

func stamp() time.Time { return time.Now().UTC().Round(0) }

func mustMarshal(v any) json.RawMessage {
	if raw, ok := v.(json.RawMessage); ok {
		return raw
	}
	if v == nil {
		return nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // the test's own
	}
	return data
}

// Attributes returns the attributes of the last run of an id.
func (c *Cluster) Attributes(id string) map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.current[id]; r != nil {
		return maps.Clone(r.start.Attributes)
	}
	return nil
}
