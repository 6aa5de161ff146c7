package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
	"github.com/edri-io/edri/store"
	"github.com/edri-io/edri/workflows"
)

// rowVersion begins the rows that may get another layout one day, and runVersion that of a
// run, which was of version 1 when updates were not counted, and of version 2 when signals
// that were not received were not. rootedVersion is that of a child's details.
const (
	rowVersion    = 1
	runVersion    = 3
	rootedVersion = 2
)

var errRow = fmt.Errorf("%w: row of a workflow", store.ErrCorrupt)

// status is a RunStatus of the schema.
type status byte

const (
	statusRunning    status = 1
	statusCompleted  status = 2
	statusFailed     status = 3
	statusCanceled   status = 4
	statusTerminated status = 5
	statusTimedOut   status = 6
	statusContinued  status = 7
)

var statuses = [...]workflows.Status{
	"", workflows.Running, workflows.Completed, workflows.Failed, workflows.Canceled,
	workflows.Terminated, workflows.TimedOut, workflows.Continued,
}

// String is the status' name, by which runs are found.
func (s status) String() string { return string(statuses[s]) }

// Flags of a run.
const (
	flagBusy      = 1 << iota // steps are under way, or its code is to be called
	flagPaused                // it is not given to workers
	flagDelayed               // its begin is still to come
	flagCanceling             // it was asked to end
	flagReady                 // it has a row 'b'
	flagTimed                 // it has a timer of its own: row 't', seq 0
	flagUpdated               // it has rows 'u'
	flagBlocked               // it is paused by its own code, or a step of it
)

// run is the row of a run, all that an advance changes:
//
//	version | status | flags | uvarints: version, advance, nonce, last, read, mail, bytes,
//	events, started, ended, parent, seq, first, next, pin, open, from version 2 on updates,
//	answers, from version 3 on unreceived, its bytes | count of ranges, each from, length | texts: id, type, correlation
type run struct {
	number  uint64
	status  status
	flags   byte
	version uint32

	advance uint64 // the last one
	nonce   uint64 // of it

	last, read uint64 // entries that have come, that were consumed
	mail       uint64 // signals and updates among those that were not consumed nor carried,
	mailBytes  uint64 // and their data

	events         uint64 // of its history
	history        []workflows.Range
	started, ended int64 // nanoseconds since 1970, by the stamp
	parent, seq    uint64
	first, next    uint64         // of its chain, see chain.go
	pin            event.Position // of its first event
	open           uint64         // timers, requests, events and children that it waits for

	updates   uint64 // rows 'u'
	answers   uint64 // bytes in them
	uncounted bool   // the row does not say how many these are

	// Signals of its history that its code has not received, as the last advance says, and
	// about their bytes. Before the first advance they are those of the run before.
	unreceived, unreceivedBytes uint64

	id, typ, correlation []byte

	dirty bool
	was   byte // flags of the row as it stands
}

func (r *run) is(flag byte) bool { return r.flags&flag != 0 }

func (r *run) set(flag byte, on bool) {
	if r.flags &^= flag; on {
		r.flags |= flag
	}
}

// unread reports whether something has come that was not consumed.
func (r *run) unread() bool { return r.last > r.read }

// correlated is what the run's events are found together by.
func (r *run) correlated() []byte {
	if len(r.correlation) == 0 {
		return r.id
	}
	return r.correlation
}

// name is what others know a run by: ID/number.
func (r *run) name() string { return fmt.Sprintf("%s/%d", r.id, r.number) }

func (r *run) append(dst []byte) []byte {
	dst = append(dst, runVersion, byte(r.status), r.flags)
	for _, v := range [...]uint64{
		uint64(r.version), r.advance, r.nonce, r.last, r.read, r.mail, r.mailBytes, r.events,
		uint64(r.started), uint64(r.ended), r.parent, r.seq, r.first, r.next, uint64(r.pin), r.open,
		r.updates, r.answers, r.unreceived, r.unreceivedBytes, uint64(len(r.history)),
	} {
		dst = binary.AppendUvarint(dst, v)
	}
	for _, h := range r.history {
		dst = binary.AppendUvarint(dst, uint64(h.From))
		dst = binary.AppendUvarint(dst, uint64(h.To-h.From))
	}
	dst = wire.AppendText(dst, r.id)
	dst = wire.AppendText(dst, r.typ)
	return wire.AppendText(dst, r.correlation)
}

// parseRun reads a row. The run aliases it.
func parseRun(number uint64, row []byte) (*run, error) {
	b := wire.ReadRow(row)
	layout := b.Byte()
	r := &run{number: number, status: status(b.Byte()), flags: b.Byte()}
	r.was = r.flags
	r.version = uint32(b.Uvarint())
	r.advance, r.nonce, r.last, r.read = b.Uvarint(), b.Uvarint(), b.Uvarint(), b.Uvarint()
	r.mail, r.mailBytes, r.events = b.Uvarint(), b.Uvarint(), b.Uvarint()
	r.started, r.ended = int64(b.Uvarint()), int64(b.Uvarint())
	r.parent, r.seq, r.first, r.next = b.Uvarint(), b.Uvarint(), b.Uvarint(), b.Uvarint()
	r.pin, r.open = event.Position(b.Uvarint()), b.Uvarint()
	switch layout {
	case 1:
		r.uncounted = r.is(flagUpdated)
	case 2:
		r.updates, r.answers = b.Uvarint(), b.Uvarint()
	case runVersion:
		r.updates, r.answers = b.Uvarint(), b.Uvarint()
		r.unreceived, r.unreceivedBytes = b.Uvarint(), b.Uvarint()
	default:
		b.Fail()
	}
	ranges := b.Uvarint()
	if ranges > uint64(len(row)) || r.status == 0 || int(r.status) >= len(statuses) {
		b.Fail()
		ranges = 0
	}
	r.history = make([]workflows.Range, ranges, ranges+1)
	for i := range r.history {
		from := event.Revision(b.Uvarint())
		r.history[i] = workflows.Range{From: from, To: from + event.Revision(b.Uvarint())}
	}
	r.id, r.typ, r.correlation = b.Text(), b.Text(), b.Text()
	return r, b.Done(errRow, "run")
}

// details are what of a run seldom changes:
//
//	version | uvarint timeout | texts: memo, note, parent | in version 2 uvarint root | attributes
type details struct {
	timeout    int64
	memo       []byte         // JSON
	note       []byte         // why it is paused, or was ended from outside
	parent     []byte         // ID/number
	root       event.Position // of the first event of the parent's history; 0: not known
	attributes map[string]value
}

func (d *details) append(dst []byte) []byte {
	layout := byte(rowVersion)
	if d.root != 0 {
		layout = rootedVersion
	}
	dst = binary.AppendUvarint(append(dst, layout), uint64(d.timeout))
	for _, text := range [...][]byte{d.memo, d.note, d.parent} {
		dst = wire.AppendText(dst, text)
	}
	if d.root != 0 {
		dst = binary.AppendUvarint(dst, uint64(d.root))
	}
	return appendValues(dst, d.attributes)
}

func parseDetails(row []byte) (details, error) {
	if row == nil {
		return details{}, nil // nothing was said
	}
	b := wire.ReadRow(row)
	layout := b.Byte()
	d := details{timeout: int64(b.Uvarint()), memo: b.Text(), note: b.Text(), parent: b.Text()}
	switch layout {
	case rowVersion:
	case rootedVersion:
		d.root = event.Position(b.Uvarint())
	default:
		b.Fail()
	}
	d.attributes = readValues(&b)
	return d, b.Done(errRow, "details of a run")
}

// outcome is how a run ended: version | texts: result, error, both JSON.
type outcome struct{ result, failure []byte }

func (o outcome) size() uint64 { return uint64(len(o.result) + len(o.failure)) }

func (o outcome) append(dst []byte) []byte {
	return wire.AppendText(wire.AppendText(append(dst, rowVersion), o.result), o.failure)
}

func parseOutcome(row []byte) (outcome, error) {
	if row == nil {
		return outcome{}, nil
	}
	b := wire.ReadRow(row)
	b.Version(rowVersion)
	o := outcome{result: b.Text(), failure: b.Text()}
	return o, b.Done(errRow, "outcome of a run")
}

// entry is the row of what has come for a run: version | flags | BE8 time | texts: kind, data.
type entry struct {
	mail       bool // a signal or an update
	carried    bool // a signal, from the run before, see carry.go: not counted as mail
	time       int64
	kind, data []byte
}

func (e *entry) append(dst []byte) []byte {
	dst = append(dst, rowVersion, flag(e.mail)|flag(e.carried)<<1)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.time))
	return wire.AppendText(wire.AppendText(dst, e.kind), e.data)
}

func parseEntry(row []byte) (entry, error) {
	b := wire.ReadRow(row)
	b.Version(rowVersion)
	flags := b.Byte()
	e := entry{mail: flags&1 != 0, carried: flags&2 != 0, time: int64(b.BE8()), kind: b.Text(), data: b.Text()}
	return e, b.Done(errRow, "entry of a run")
}

// update is the row of an update: version | state | texts: result, error, both JSON.
type update struct {
	done bool
	outcome
}

func (u *update) append(dst []byte) []byte {
	dst = append(dst, rowVersion, flag(u.done))
	return wire.AppendText(wire.AppendText(dst, u.result), u.failure)
}

func parseUpdate(row []byte) (update, error) {
	b := wire.ReadRow(row)
	b.Version(rowVersion)
	u := update{done: b.Byte() != 0, outcome: outcome{result: b.Text(), failure: b.Text()}}
	return u, b.Done(errRow, "update of a run")
}

// timer is the row of a timer: BE8 due, BE8 number in the table of timers.
func parseTimer(row []byte) (due int64, number uint64, err error) {
	b := wire.ReadRow(row)
	due, number = int64(b.BE8()), b.BE8()
	return due, number, b.Done(errRow, "timer of a run")
}

func pair(a, b uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 16), a), b)
}

func parsePair(row []byte, what string) (first, second uint64, err error) {
	b := wire.ReadRow(row)
	first, second = b.BE8(), b.BE8()
	return first, second, b.Done(errRow, what)
}

func flag(on bool) byte {
	if on {
		return 1
	}
	return 0
}
