package cron

// The operations, which are fields of edri.v1.Op.
const (
	opFirst = 50
	opLast  = 59

	opCreate      = 50
	opUpdate      = 51
	opDelete      = 52
	opPause       = 53
	opTrigger     = 54
	opBackfill    = 55
	opAppendLater = 56
	opCancelLater = 57
	opAdvance     = 58 // the leader's own, see ops_leader.go
)

// createOp is an edri.v1.CreateSchedule. Here and below, bytes alias the message.
type createOp struct {
	name   []byte
	spec   []byte
	paused bool
	note   []byte
}

// updateOp is an edri.v1.UpdateSchedule.
type updateOp struct {
	name, spec []byte
	revision   uint64
}

// pauseOp is an edri.v1.PauseSchedule.
type pauseOp struct {
	name   []byte
	paused bool
	note   []byte
}

// backfillOp is an edri.v1.BackfillSchedule.
type backfillOp struct {
	name     []byte
	from, to int64
}

// laterOp is an edri.v1.AppendLater.
type laterOp struct {
	stream, event []byte
	at            int64
}

// cancelOp is an edri.v1.CancelLater.
type cancelOp struct{ source, id []byte }

func decodeCreate(b []byte) (o createOp, err error) {
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.name)
		case 2:
			f.setBytes(&o.spec)
		case 3:
			f.setBool(&o.paused)
		case 4:
			f.setBytes(&o.note)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

func decodeUpdate(b []byte) (o updateOp, err error) {
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.name)
		case 2:
			f.setBytes(&o.spec)
		case 3:
			f.setUint64(&o.revision)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

// decodeName reads an edri.v1.DeleteSchedule or TriggerSchedule.
func decodeName(b []byte) (name []byte, err error) {
	f := fields{rest: b}
	for f.next() {
		if f.number == 1 {
			f.setBytes(&name)
		} else {
			f.unknown()
		}
	}
	return name, f.err
}

func decodePause(b []byte) (o pauseOp, err error) {
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.name)
		case 2:
			f.setBool(&o.paused)
		case 3:
			f.setBytes(&o.note)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

func decodeBackfill(b []byte) (o backfillOp, err error) {
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.name)
		case 2:
			f.setInt64(&o.from)
		case 3:
			f.setInt64(&o.to)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

func decodeLater(b []byte) (o laterOp, err error) {
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.stream)
		case 2:
			f.setBytes(&o.event)
		case 3:
			f.setInt64(&o.at)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

func decodeCancel(b []byte) (o cancelOp, err error) {
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.source)
		case 2:
			f.setBytes(&o.id)
		default:
			f.unknown()
		}
	}
	return o, f.err
}
