package consensus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// disagreementFile keeps a disagreement over restarts: the node that is wrong has
// stopped and tells nobody any more, and the checkpoint at which it showed is long
// gone. A file that cannot be understood is taken for none.
const disagreementFile = "differing.json"

// disagreement is whose state differs from this node's, and where that showed last.
// It holds until the member agrees at a later checkpoint or is no member any more:
// that the node which is wrong has stopped is no reason to forget it. Only pulseLoop
// uses it.
type disagreement struct {
	byMember map[raft.ServerID]vote
	saved    []byte // what the file holds; nil: there is none
}

// loadDisagreement reads what was saved in a data directory.
func loadDisagreement(dir string) (d disagreement, err error) {
	data, err := os.ReadFile(filepath.Join(dir, disagreementFile))
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return d, fmt.Errorf("read whose state differs: %w", err)
	}
	d.saved = data
	rows := map[raft.ServerID]voteRow{}
	if json.Unmarshal(data, &rows) != nil {
		return d, nil
	}
	for id, row := range rows {
		d.put(id, vote{index: row.Index, members: row.Members})
	}
	return d, nil
}

// voteRow is what is kept of a vote: what it tells people.
type voteRow struct {
	Index   uint64                     `json:"index"`
	Members map[uint64][]raft.ServerID `json:"members"` // by hash
}

// save writes the disagreement, if it has changed.
func (d *disagreement) save(seam fault.Seam, dir string) error {
	path := filepath.Join(dir, disagreementFile)
	if len(d.byMember) == 0 {
		if d.saved == nil {
			return nil
		}
		d.saved = nil
		return store.Remove(seam, path)
	}
	rows := make(map[raft.ServerID]voteRow, len(d.byMember))
	for id, v := range d.byMember {
		rows[id] = voteRow{v.index, v.members}
	}
	data, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("encode whose state differs: %w", err)
	}
	if data = append(data, '\n'); bytes.Equal(data, d.saved) {
		return nil
	}
	if err := store.WriteFileAtomic(seam, path, data); err != nil {
		return fmt.Errorf("write whose state differs: %w", err)
	}
	d.saved = data
	return nil
}

func (d *disagreement) put(id raft.ServerID, v vote) {
	if d.byMember == nil {
		d.byMember = map[raft.ServerID]vote{}
	}
	d.byMember[id] = v
}

// update takes in who agrees with this node at a checkpoint of its, and who does not.
func (d *disagreement) update(own Checkpoint, v vote) {
	for hash, members := range v.members {
		for _, id := range members {
			last, differs := d.byMember[id]
			switch {
			case own.Index < last.index:
			case hash != own.Hash:
				if own.Index > last.index || v.count() > last.count() {
					d.put(id, v)
				}
			case differs && own.Index > last.index:
				delete(d.byMember, id)
			}
		}
	}
}

// latest forgets who is no member any more, and returns where states differed last;
// nil: nowhere.
func (d *disagreement) latest(servers []raft.Server) *vote {
	var latest *vote
	for id, v := range d.byMember {
		if !slices.ContainsFunc(servers, func(s raft.Server) bool { return s.ID == id }) {
			delete(d.byMember, id)
		} else if latest == nil || v.index > latest.index {
			latest = &v
		}
	}
	return latest
}
