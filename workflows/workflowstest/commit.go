package workflowstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
	"github.com/edri-io/edri/workflows"
)

// Fate is what becomes of an advance.
type Fate struct {
	// Refuse is the answer: nothing takes effect. Nil: it is up to the cluster.
	Refuse *event.Error
	// LoseAnswer has the worker told that the outcome is not known.
	LoseAnswer bool
	// LoseWorkers loses all workers: Before it takes effect, so that it does not, or
	// After.
	LoseBefore, LoseAfter bool
}

// OnAdvance has f decide on each advance. It is called with the cluster locked.
func (c *Cluster) OnAdvance(f func(*workflows.Advance) Fate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onAdv = f
}

// advanceLocked takes an advance and answers it.
func (c *Cluster) advanceLocked(s *session, a *workflows.Advance) {
	var fate Fate
	if c.onAdv != nil {
		fate = c.onAdv(a)
	}
	if fate.LoseBefore {
		c.loseAllLocked()
		return
	}
	err := fate.Refuse
	var end event.Revision
	if err == nil {
		end, err = c.commitAdvanceLocked(a)
	}
	if fate.LoseAnswer {
		err = event.Errorf(event.CodeOutcomeUnknown, "the answer is lost")
	}
	if fate.LoseAfter {
		c.loseAllLocked()
		return
	}
	s.pushLocked(workflows.Message{Advanced: &workflows.Advanced{Number: a.Number, Advance: a.Advance, Err: err, Revision: end}})
}

func (c *Cluster) loseAllLocked() {
	for _, s := range slices.Clone(c.sessions) {
		s.endLocked(c.loseLocked)
	}
}

// commitAdvanceLocked does all of an advance or nothing.
func (c *Cluster) commitAdvanceLocked(a *workflows.Advance) (event.Revision, *event.Error) {
	r := c.runs[a.Number]
	if r == nil {
		return 0, event.Errorf(event.CodeNotFound, "run %d is not there", a.Number)
	}
	stream := workflows.HistoryStream(r.ID)
	if a.Advance == r.Advance && a.Nonce == r.nonce {
		return r.History[len(r.History)-1].To, nil // it was sent twice
	}
	if a.Advance != r.Advance+1 || r.status != workflows.Running {
		return 0, event.RevisionConflict(stream, event.Expected(a.Advance-1), event.Revision(r.Advance))
	}
	consumed := r.Entry
	var end *workflows.End
	for i := range a.Records {
		rec := &a.Records[i]
		if rec.Entry > 0 {
			consumed++
			if rec.Entry != consumed || consumed > r.arrived {
				return 0, event.Errorf(event.CodeInvalid, "entry %d is not the next one", rec.Entry)
			}
		}
		if seq, open := r.isOpen(rec.Do); open {
			return 0, event.Errorf(event.CodeInvalid, "%s: run %s has one of sequence number %d", rec.Kind, r.ID, seq)
		}
		if e, ok := rec.Do.(workflows.End); ok {
			end = &e
		}
	}
	if end != nil && !end.Insist && consumed < r.arrived {
		return 0, event.Errorf(event.CodeCheckFailed, "entries were not consumed")
	}
	if err := c.checkEffectsLocked(&a.Effects); err != nil {
		return 0, err
	}
	if err := r.checkCarry(a, end); err != nil {
		return 0, err
	}
	c.advances++
	r.Advance, r.nonce, r.busy = a.Advance, a.Nonce, a.Busy
	c.applyEffectsLocked(r, &a.Effects)
	for i := range a.Records {
		c.applyRecordLocked(r, &a.Records[i])
	}
	r.Entry = consumed
	r.entries = slices.DeleteFunc(r.entries, func(e workflows.Entry) bool { return e.Number <= consumed })
	if a.Block != nil {
		r.blocked = a.Block
		c.recordLocked(r, workflows.KindPaused, stamp(), mustMarshal(workflows.Note{Reason: a.Block.Reason, Details: a.Block.Details}))
	}
	last := r.History[len(r.History)-1].To
	if end != nil {
		r.carried = end.Signals
		var moved []workflows.Entry
		if end.Next != nil {
			for _, s := range r.ahead[:end.Carried] {
				moved = append(moved, workflows.Entry{Kind: workflows.KindSignal, Data: mustMarshal(workflows.SignalReceived{Name: s.Name, Input: s.Input})})
			}
			isSignal := func(e workflows.Entry) bool { return e.Kind == workflows.KindSignal }
			for _, e := range r.entries {
				if isSignal(e) {
					moved = append(moved, e)
				}
			}
			r.entries = slices.DeleteFunc(r.entries, isSignal)
		}
		c.closeLocked(r, end.Status, end.Result, end.Err, "")
		if end.Next != nil {
			c.continueLocked(r, *end.Next)
			for _, e := range moved {
				c.enterLocked(r.next, e.Kind, e.Data)
			}
		}
	}
	return last, nil
}

// isOpen reports whether what is asked for is there already.
func (r *run) isOpen(do workflows.Command) (seq uint64, open bool) {
	switch do := do.(type) {
	case workflows.SetTimer:
		seq, open = do.Seq, r.timers[do.Seq] != nil
	case workflows.SendRequest:
		_, open = r.requests[do.Seq]
		seq = do.Seq
	case workflows.AwaitEvent:
		_, open = r.awaits[do.Seq]
		seq = do.Seq
	case workflows.StartChild:
		seq, open = do.Seq, r.children[do.Seq] != nil
	}
	return seq, open
}

// checkCarry says why signals cannot go ahead of an end, or with it.
func (r *run) checkCarry(a *workflows.Advance, end *workflows.End) *event.Error {
	switch {
	case len(a.Carry) > 0 && a.CarryFrom == 0:
		r.ahead = nil
	case a.CarryFrom != 0 && a.CarryFrom != len(r.ahead):
		return event.Errorf(event.CodeInvalid, "%d signals went ahead, not %d", len(r.ahead), a.CarryFrom)
	case end != nil && end.Carried != 0 && end.Carried != len(r.ahead):
		return event.Errorf(event.CodeInvalid, "%d signals went ahead, not %d", len(r.ahead), end.Carried)
	}
	r.ahead = append(r.ahead, a.Carry...)
	return nil
}

// applyRecordLocked adds a record to the history, and does what it says.
func (c *Cluster) applyRecordLocked(r *run, rec *workflows.Record) {
	if rec.Reject != nil {
		var u workflows.UpdateReceived
		_ = json.Unmarshal(r.entries[slices.IndexFunc(r.entries, func(e workflows.Entry) bool { return e.Number == rec.Entry })].Data, &u)
		r.answer(u.ID, workflows.UpdateRecord{ID: u.ID, Error: rec.Reject})
		return
	}
	c.recordLocked(r, rec.Kind, rec.Time, rec.Data)
	switch do := rec.Do.(type) {
	case nil, workflows.End:
	case workflows.SetTimer:
		c.setTimerLocked(r, do)
	case workflows.CancelTimer:
		if t := r.timers[do.Seq]; t != nil {
			t.Stop()
			delete(r.timers, do.Seq)
		}
	case workflows.SendRequest:
		c.requestLocked(r, do)
	case workflows.DropRequest:
		delete(r.requests, do.Seq)
	case workflows.AwaitEvent:
		r.awaits[do.Seq] = do
	case workflows.DropEvent:
		delete(r.awaits, do.Seq)
	case workflows.StartChild:
		c.childLocked(r, do)
	case workflows.CancelChild:
		if k := r.children[do.Seq]; k != nil {
			c.enterLocked(k.run, workflows.KindCancelRequested, mustMarshal(workflows.Note{Reason: do.Reason}))
		}
	case workflows.FinishUpdate:
		r.answer(do.ID, workflows.UpdateRecord{ID: do.ID, Result: do.Result, Error: do.Err})
	case workflows.SetAttributes:
		c.setAttributes(r, do)
	default:
		panic(fmt.Sprintf("command %T is not known", do))
	}
}

func (c *Cluster) setAttributes(r *run, do workflows.SetAttributes) {
	if r.start.Attributes == nil {
		r.start.Attributes = make(map[string]any)
	}
	for name, v := range do.Attributes {
		if v == nil {
			delete(r.start.Attributes, name)
			continue
		}
		r.start.Attributes[name] = v
	}
}

func (r *run) answer(update string, a workflows.UpdateRecord) {
	if w := r.updates[update]; w != nil {
		delete(r.updates, update)
		w <- a
	}
}

// recordLocked adds an event to the history.
func (c *Cluster) recordLocked(r *run, kind string, at time.Time, data []byte) {
	stream := workflows.HistoryStream(r.ID)
	revision := event.Revision(len(c.streams[stream]) + 1)
	if n := len(r.History); n > 0 && r.History[n-1].To == revision-1 {
		r.History[n-1].To = revision
	} else {
		r.History = append(r.History, workflows.Range{From: revision, To: revision})
	}
	c.appendLocked(stream, event.Event{
		ID: fmt.Sprintf("%d/h/%d", r.Number, revision), Source: "/workflows/" + r.Type,
		Type: workflows.HistoryPrefix + kind, Time: at, DataContentType: "application/json", Data: data,
	})
}

func (c *Cluster) appendLocked(stream string, e event.Event) event.Recorded {
	made := event.Recorded{
		Event: e, Stream: stream, Stamp: stamp(),
		Position: event.Position(len(c.journal) + 1), Revision: event.Revision(len(c.streams[stream]) + 1),
	}
	c.journal = append(c.journal, made)
	c.streams[stream] = append(c.streams[stream], made)
	return made
}

// enterLocked puts an entry into the inbox of a run.
func (c *Cluster) enterLocked(r *run, kind string, data []byte) {
	if r.status != workflows.Running {
		return
	}
	r.arrived++
	e := workflows.Entry{Number: r.arrived, Kind: kind, Time: stamp(), Data: data}
	r.entries = append(r.entries, e)
	if r.worker != nil {
		r.worker.pushLocked(workflows.Message{Entries: &workflows.Entries{Number: r.Number, Entries: []workflows.Entry{e}}})
		return
	}
	c.wakeLocked(r)
}

func (c *Cluster) setTimerLocked(r *run, do workflows.SetTimer) {
	var timer *time.Timer
	timer = time.AfterFunc(do.After, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if r.timers[do.Seq] == timer {
			delete(r.timers, do.Seq)
			c.enterLocked(r, workflows.KindTimerFired, mustMarshal(workflows.Seq{Seq: do.Seq}))
		}
	})
	r.timers[do.Seq] = timer
}

// closeLocked ends a run.
func (c *Cluster) closeLocked(r *run, status workflows.Status, result json.RawMessage, failure *workflows.Error, note string) {
	if r.status != workflows.Running {
		return
	}
	switch status {
	case workflows.Terminated:
		c.recordLocked(r, workflows.KindTerminated, stamp(), mustMarshal(workflows.Note{Reason: note}))
	case workflows.TimedOut:
		c.recordLocked(r, workflows.KindTimedOut, stamp(), mustMarshal(workflows.Note{Reason: note}))
	}
	for _, e := range r.entries {
		c.recordLocked(r, workflows.KindUnhandled, stamp(), mustMarshal(workflows.Unhandled{Kind: e.Kind, Data: e.Data}))
	}
	r.status, r.result, r.failure, r.Ended, r.busy, r.blocked, r.entries = status, result, failure, true, false, nil, nil
	for _, t := range r.timers {
		t.Stop()
	}
	if r.timeout != nil {
		r.timeout.Stop()
	}
	r.timers, r.awaits = nil, nil
	clear(r.requests)
	for id := range r.updates {
		r.answer(id, workflows.UpdateRecord{ID: id, Error: &workflows.Error{Type: workflows.ErrorUnhandled}})
	}
	if r.worker != nil && (status == workflows.Terminated || status == workflows.TimedOut) {
		r.worker.pushLocked(workflows.Message{Revoke: &workflows.Revoke{Number: r.Number, Reason: string(status)}})
	}
	r.worker = nil
	for _, k := range r.children {
		switch k.onClose {
		case workflows.CloseTerminate:
			c.closeLocked(k.run, workflows.Terminated, nil, nil, "its parent ended")
		case workflows.CloseCancel:
			c.enterLocked(k.run, workflows.KindCancelRequested, mustMarshal(workflows.Note{Reason: "its parent ended"}))
		}
	}
	if r.parent != nil && status != workflows.Continued {
		c.childEndedLocked(r.parent, r.parentSeq, workflows.ChildEnded{Status: status, Result: result, Error: failure})
	}
	close(r.done)
}

func (c *Cluster) childEndedLocked(parent *run, seq uint64, ended workflows.ChildEnded) {
	delete(parent.children, seq)
	ended.Seq = seq
	kind := workflows.KindChildFailed
	if ended.Status == workflows.Completed {
		kind = workflows.KindChildCompleted
	}
	c.enterLocked(parent, kind, mustMarshal(ended))
}

func (c *Cluster) childLocked(parent *run, do workflows.StartChild) {
	r, err := c.startLocked(do.Start, parent, nil)
	if err != nil {
		failure := &workflows.Error{Type: "edri." + string(event.CodeOf(err)), Message: err.Error()}
		c.childEndedLocked(parent, do.Seq, workflows.ChildEnded{Status: workflows.Failed, Error: failure})
		return
	}
	r.parentSeq = do.Seq
	parent.children[do.Seq] = &child{r, do.OnClose}
}

// continueLocked begins the run that goes on in the place of one that ended.
func (c *Cluster) continueLocked(r *run, s workflows.Start) {
	s.ID = r.ID
	if s.Version == 0 {
		s.Version = r.Version
	}
	if s.Memo == nil {
		s.Memo = r.start.Memo
	}
	if s.Attributes == nil {
		s.Attributes = r.start.Attributes
	}
	next, err := c.startLocked(s, r.parent, r)
	if err != nil {
		panic(err) // the definition is there
	}
	next.parentSeq, r.next = r.parentSeq, next
	if r.parent != nil && r.parent.children[r.parentSeq] != nil {
		r.parent.children[r.parentSeq].run = next
	}
}

// checkEffectsLocked says why effects cannot be.
func (c *Cluster) checkEffectsLocked(e *managers.Effects) *event.Error {
	for i := range e.Appends {
		a := &e.Appends[i]
		if err := a.Event.Validate(); err != nil {
			if e := (*event.Error)(nil); errors.As(err, &e) {
				return e
			}
		}
		stream := streamOf(a)
		if at := event.Revision(len(c.streams[stream])); !a.Expected.Allows(at) {
			return event.RevisionConflict(stream, a.Expected, at)
		}
	}
	for _, k := range e.Keys {
		if at := c.keys[placeOf(k)].Revision; k.Expected != nil && *k.Expected != at {
			return event.Errorf(event.CodeRevisionConflict, "key %q is at revision %d", k.Key, at)
		}
	}
	return nil
}

func (c *Cluster) applyEffectsLocked(r *run, e *managers.Effects) {
	for i := range e.Appends {
		a := e.Appends[i]
		id := [2]string{a.Event.Source, a.Event.ID}
		if c.ids[id] {
			continue // a duplicate, which is a success
		}
		c.ids[id] = true
		c.emitLocked(streamOf(&a), a.Event)
	}
	for _, k := range e.Keys {
		place := placeOf(k)
		if k.Delete {
			delete(c.keys, place)
			continue
		}
		c.appendLocked("kv/"+place[0], event.Event{ID: strconv.Itoa(len(c.journal)), Source: "/kv", Type: "edri.key.put", Subject: k.Key})
		c.keys[place] = managers.Key{Bucket: place[0], Key: k.Key, Value: k.Value, ContentType: k.ContentType, Revision: event.Position(len(c.journal))}
	}
}

func streamOf(a *managers.Append) string {
	for _, s := range []string{a.Stream, a.Event.Subject} {
		if s != "" {
			return s
		}
	}
	return a.Event.Source
}

func placeOf(k managers.KeyChange) [2]string {
	if k.Bucket == "" {
		k.Bucket = managers.DefaultBucket
	}
	return [2]string{k.Bucket, k.Key}
}
