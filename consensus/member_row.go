package consensus

import (
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

// Member is what the state knows of a server.
type Member struct {
	ServerID    string
	APIURL      string
	RaftAddress string // where peers dial its raft port
	Removed     bool   // taken out for good; its id never comes back
}

// appendRow appends the row's value, in protobuf's encoding: 1 API URL, 2 raft
// address, 3 whether it was removed.
func (m Member) appendRow(dst []byte) []byte {
	dst = wire.AppendBytes(dst, 1, m.APIURL)
	dst = wire.AppendBytes(dst, 2, m.RaftAddress)
	removed := uint64(0)
	if m.Removed {
		removed = 1
	}
	return wire.AppendUint(dst, 3, removed)
}

func decodeMember(id string, row []byte) (Member, error) {
	m := Member{ServerID: id}
	f := wire.Walk(row)
	for f.Next() && f.Once() {
		switch {
		case f.Number == 1 && f.WantBytes():
			m.APIURL = string(f.Bytes)
		case f.Number == 2 && f.WantBytes():
			m.RaftAddress = string(f.Bytes)
		case f.Number == 3 && f.WantVarint():
			m.Removed = f.Value != 0
		default:
			f.Unknown()
		}
	}
	if err := f.Err(); err != nil {
		return Member{}, fmt.Errorf("%w: member %q: %w", errRow, id, err)
	}
	return m, nil
}

// Members returns what is known of servers, by server id.
func (v *View) Members() ([]Member, error) {
	it := v.state.Scan(v.core.tables.members, nil, nil, false)
	defer it.Close()
	var list []Member
	for it.Next() {
		m, err := decodeMember(string(it.Key()), it.Value())
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	return list, nil
}

// member returns what is known of a server, nothing but its id if nothing is.
func (v *View) member(id string) (Member, error) {
	row, err := v.state.Get(v.core.tables.members, []byte(id))
	if err != nil {
		return Member{}, fmt.Errorf("read member: %w", err)
	}
	return decodeMember(id, row)
}

// member returns a row as the entry in execution sees it.
func (c *Core) member(id []byte) (Member, error) {
	row, err := c.tx.Get(c.tables.members, id)
	if err != nil {
		return Member{}, fmt.Errorf("read member: %w", err)
	}
	return decodeMember(string(id), row)
}

// advertise executes operation 101.
func (c *Core) advertise(in internalOp) error {
	if len(in.text) == 0 {
		return event.Errorf(event.CodeInvalid, "a member without a server id")
	}
	m, err := c.member(in.text)
	if err != nil {
		return err
	}
	if m.Removed {
		return event.Errorf(event.CodeDenied, "%s was removed from the cluster", in.text)
	}
	m.APIURL, m.RaftAddress = string(in.bytes), string(in.more)
	c.put(c.tables.members, in.text, m.appendRow(nil))
	return nil
}
