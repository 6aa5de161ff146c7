package consensus

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/edri-io/edri/store"
)

// rosterFile keeps where the other members are reached beside the state that says
// so: a node whose state is damaged asks them for theirs, and the peers and seeds that
// it was started with may be gone by then. Like every address these are hints, and a
// file that cannot be understood is written anew.
const rosterFile = "members.json"

// loadRoster returns the raft addresses that were last saved in a data directory.
func loadRoster(dir string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(dir, rosterFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read members' addresses: %w", err)
	}
	var roster []string
	if json.Unmarshal(data, &roster) != nil {
		return nil, nil
	}
	return roster, nil
}

// saveRoster writes where the members are reached, if that has changed. It is called
// by one goroutine.
func (n *Node) saveRoster(members map[string]Member) error {
	roster := []string{}
	for _, m := range members {
		if !m.Removed && m.RaftAddress != "" && m.ServerID != string(n.serverID) {
			roster = append(roster, m.RaftAddress)
		}
	}
	slices.Sort(roster)
	if slices.Equal(roster, n.roster) {
		return nil
	}
	data, err := json.Marshal(roster)
	if err != nil {
		return fmt.Errorf("encode members' addresses: %w", err)
	}
	if err := store.WriteFileAtomic(n.cfg.Seam, filepath.Join(n.cfg.Dir, rosterFile), append(data, '\n')); err != nil {
		return fmt.Errorf("write members' addresses: %w", err)
	}
	n.roster = roster
	return nil
}
