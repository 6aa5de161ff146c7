package consensus

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

const originFile = "origin.json"

// snapshotOrigin says that a generation came from another node: its state may be
// ahead of this node's raft log, up to this index.
type snapshotOrigin struct {
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
}

// readOrigin returns the zero origin for a generation that began empty.
func readOrigin(generation string) (snapshotOrigin, error) {
	data, err := os.ReadFile(filepath.Join(generation, originFile))
	if errors.Is(err, os.ErrNotExist) {
		return snapshotOrigin{}, nil
	}
	if err != nil {
		return snapshotOrigin{}, fmt.Errorf("read origin: %w", err)
	}
	var o snapshotOrigin
	if err := json.Unmarshal(data, &o); err != nil {
		return snapshotOrigin{}, fmt.Errorf("%w: %s: %v", store.ErrCorrupt, filepath.Join(generation, originFile), err)
	}
	return o, nil
}

func writeOrigin(seam fault.Seam, generation string, o snapshotOrigin) error {
	data, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode origin: %w", err)
	}
	return store.WriteFileAtomic(seam, filepath.Join(generation, originFile), append(data, '\n'))
}
