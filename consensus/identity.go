package consensus

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

const identityFile = "node.json"

// identity is who a data directory belongs to. The random part makes an emptied
// disk another server: it may have forgotten votes and entries that it
// acknowledged, and must not answer for them under its old id.
type identity struct {
	Name   string `json:"name"`
	Random string `json:"random"`
}

// ServerID is the node's id in Raft's configuration: NAME.RANDOM.
func (i identity) ServerID() raft.ServerID {
	return raft.ServerID(i.Name + "." + i.Random)
}

// nodeName returns the name in a server id.
func nodeName(id raft.ServerID) string {
	if dot := strings.LastIndexByte(string(id), '.'); dot >= 0 {
		return string(id[:dot])
	}
	return string(id)
}

// HasIdentity reports whether a node was started in a data directory before.
func HasIdentity(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, identityFile))
	return err == nil
}

// loadIdentity reads the identity of the data directory, or gives it one.
func loadIdentity(seam fault.Seam, dir, name string) (identity, error) {
	path := filepath.Join(dir, identityFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails (crypto/rand)
		id := identity{Name: name, Random: hex.EncodeToString(random[:])}
		data, err := json.Marshal(id)
		if err != nil {
			return identity{}, fmt.Errorf("encode identity: %w", err)
		}
		return id, store.WriteFileAtomic(seam, path, append(data, '\n'))
	}
	if err != nil {
		return identity{}, fmt.Errorf("read identity: %w", err)
	}
	var id identity
	if err := json.Unmarshal(data, &id); err != nil || id.Random == "" {
		return identity{}, fmt.Errorf("%w: %s is not an identity (%v)", store.ErrCorrupt, path, err)
	}
	if id.Name != name {
		return identity{}, fmt.Errorf("data directory %s belongs to node %q, not to %q", dir, id.Name, name)
	}
	return id, nil
}
