package client

import (
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// decodeWork reads an edri.v1.WorkResponse. What the messages have is copied.
func decodeWork(b []byte) ([]workflows.Message, error) {
	var messages []workflows.Message
	f := wire.Walk(b)
	for f.Next() {
		item, ok := f.Bytes(1)
		if !ok {
			continue
		}
		m, err := decodeWorkItem(item)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, f.Err()
}

func decodeWorkItem(b []byte) (m workflows.Message, err error) {
	known := false
	f := wire.Walk(b)
	for f.Next() {
		known = true
		if body, ok := f.Bytes(1); ok {
			m.Assign, err = decodeAssign(body)
		} else if body, ok := f.Bytes(2); ok {
			m.Entries, err = decodeEntries(body)
		} else if body, ok := f.Bytes(3); ok {
			m.Advanced, err = decodeAdvanced(body)
		} else if body, ok := f.Bytes(4); ok {
			m.Query, err = decodeRunQuery(body)
		} else if number, ok := f.Varint(5); ok {
			m.Drain = &workflows.Drain{Number: number}
		} else if body, ok := f.Bytes(6); ok {
			m.Revoke, err = decodeRevoke(body)
		} else {
			known = false
		}
		if err != nil {
			return m, err
		}
	}
	if !known && f.Err() == nil {
		return m, event.Errorf(event.CodeUnavailable, "the leader says what this client does not know")
	}
	return m, f.Err()
}

func decodeAssign(b []byte) (*workflows.Assign, error) {
	a := new(workflows.Assign)
	f := wire.Walk(b)
	for f.Next() {
		var err error
		if body, ok := f.Bytes(1); ok {
			a.Run, err = decodeRunState(body)
		} else if body, ok := f.Bytes(2); ok {
			a.Entries, err = appendEntry(a.Entries, body)
		} else if body, ok := f.Bytes(3); ok {
			var r event.Recorded
			r, err = decodeRecorded(body)
			a.Events = append(a.Events, r)
		}
		if err != nil {
			return nil, err
		}
	}
	return a, f.Err()
}

func decodeRunState(b []byte) (r workflows.Run, err error) {
	f := wire.Walk(b)
	for f.Next() {
		if v, ok := f.Bytes(1); ok {
			r.ID = string(v)
		} else if v, ok := f.Varint(2); ok {
			r.Number = v
		} else if v, ok := f.Bytes(3); ok {
			r.Type = string(v)
		} else if v, ok := f.Varint(4); ok {
			r.Version = uint32(v)
		} else if v, ok := f.Varint(5); ok {
			r.Advance = v
		} else if v, ok := f.Varint(6); ok {
			r.Entry = v
		} else if v, ok := f.Bytes(7); ok {
			part, err := decodeRange(v)
			if err != nil {
				return r, err
			}
			r.History = append(r.History, part)
		} else if v, ok := f.Varint(8); ok {
			r.Ended = v != 0
		} else if v, ok := f.Bytes(9); ok {
			r.Correlation = string(v)
		}
	}
	return r, f.Err()
}

func decodeRange(b []byte) (r workflows.Range, err error) {
	f := wire.Walk(b)
	for f.Next() {
		if v, ok := f.Varint(1); ok {
			r.From = event.Revision(v)
		} else if v, ok := f.Varint(2); ok {
			r.To = event.Revision(v)
		} else if v, ok := f.Varint(3); ok {
			r.Since = event.Position(v)
		}
	}
	return r, f.Err()
}

func appendEntry(list []workflows.Entry, b []byte) ([]workflows.Entry, error) {
	var e workflows.Entry
	f := wire.Walk(b)
	for f.Next() {
		if v, ok := f.Varint(1); ok {
			e.Number = v
		} else if v, ok := f.Bytes(2); ok {
			e.Kind = string(v)
		} else if v, ok := f.Varint(3); ok {
			e.Time = timeOf(int64(v))
		} else if v, ok := f.Bytes(4); ok {
			e.Data = append([]byte(nil), v...)
		}
	}
	return append(list, e), f.Err()
}

func decodeEntries(b []byte) (*workflows.Entries, error) {
	e := new(workflows.Entries)
	f := wire.Walk(b)
	for f.Next() {
		if v, ok := f.Varint(1); ok {
			e.Number = v
		} else if v, ok := f.Bytes(2); ok {
			var err error
			if e.Entries, err = appendEntry(e.Entries, v); err != nil {
				return nil, err
			}
		}
	}
	return e, f.Err()
}

func decodeAdvanced(b []byte) (*workflows.Advanced, error) {
	a := new(workflows.Advanced)
	f := wire.Walk(b)
	for f.Next() {
		if v, ok := f.Varint(1); ok {
			a.Number = v
		} else if v, ok := f.Varint(2); ok {
			a.Advance = v
		} else if v, ok := f.Bytes(3); ok {
			a.Err = decodeError(v)
		} else if v, ok := f.Varint(4); ok {
			a.Revision = event.Revision(v)
		}
	}
	return a, f.Err()
}

func decodeRunQuery(b []byte) (*workflows.Query, error) {
	q := new(workflows.Query)
	f := wire.Walk(b)
	for f.Next() {
		if v, ok := f.Varint(1); ok {
			q.ID = v
		} else if v, ok := f.Bytes(2); ok {
			var err error
			if q.Run, err = decodeRunState(v); err != nil {
				return nil, err
			}
		} else if v, ok := f.Bytes(3); ok {
			q.Name = string(v)
		} else if v, ok := f.Bytes(4); ok {
			q.Input = append([]byte(nil), v...)
		}
	}
	return q, f.Err()
}

func decodeRevoke(b []byte) (*workflows.Revoke, error) {
	r := new(workflows.Revoke)
	f := wire.Walk(b)
	for f.Next() {
		if v, ok := f.Varint(1); ok {
			r.Number = v
		} else if v, ok := f.Bytes(2); ok {
			r.Reason = string(v)
		}
	}
	return r, f.Err()
}
