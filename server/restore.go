package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/consensus/backup"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault"
)

// ErrNotEmpty says that a directory to restore into has something in it.
var ErrNotEmpty = consensus.ErrNotEmpty

// RestoreOptions say what Restore makes.
type RestoreOptions struct {
	Path          string   // of the backup
	Earlier       []string // paths of those that it needs, in any order
	DataDir       string   // empty, or not there
	NodeID        string
	RaftAdvertise string // host:port where others will dial the node
	Logger        *slog.Logger
	// Progress, if not nil, is told how many bytes of all were written.
	Progress func(written, all int64)
	Seam     fault.Seam // for tests
}

// RestoreInfo is what a restore made.
type RestoreInfo struct {
	DataDir   string         `json:"data_dir"`
	ServerID  string         `json:"server_id"`
	Backup    string         `json:"backup"` // its id
	Before    string         `json:"epoch_before"`
	Epoch     string         `json:"epoch"`
	Index     uint64         `json:"index,string"`
	First     event.Position `json:"first_position,string"`
	Last      event.Position `json:"last_position,string"`
	Sessions  int            `json:"sessions_ended"`
	Producers int            `json:"producers"`
}

// Restore makes the data directory of one node from a backup: a cluster of its own,
// with a new epoch, which others join. It needs no server. Until it has returned
// without an error no node starts on the directory.
func Restore(ctx context.Context, o RestoreOptions) (_ RestoreInfo, err error) {
	if err := checkRestore(&o); err != nil {
		return RestoreInfo{}, errors.Join(ErrConfig, err)
	}
	chain, err := backup.OpenChain(o.Path, o.Earlier)
	if err != nil {
		return RestoreInfo{}, err
	}
	defer func() { err = errors.Join(err, chain.Close()) }()
	written, all := int64(0), chain.Size()
	r, err := consensus.Restore(ctx, consensus.RestoreConfig{
		Dir: o.DataDir, Name: o.NodeID, RaftAddress: o.RaftAdvertise, Seam: o.Seam, Logger: o.Logger,
		Fill: func(ctx context.Context, seam fault.Seam, dir string) error {
			return chain.Extract(ctx, seam, dir, func(n int) {
				if written += int64(n); o.Progress != nil {
					o.Progress(written, all)
				}
			})
		},
	})
	if err != nil {
		return RestoreInfo{}, err
	}
	return RestoreInfo{
		DataDir: o.DataDir, ServerID: r.ServerID, Backup: chain.ID, Before: r.Before.String(), Epoch: r.Epoch.String(),
		Index: r.Index, First: r.First, Last: r.Last, Sessions: r.Sessions, Producers: r.Producers,
	}, nil
}

func checkRestore(o *RestoreOptions) error {
	if o.DataDir == "" {
		return errors.New("a data directory is needed")
	}
	if err := event.CheckName("node id", o.NodeID); err != nil {
		return err
	}
	if err := checkDialAddress(o.RaftAdvertise); err != nil {
		return fmt.Errorf("raft address %q: %w", o.RaftAdvertise, err)
	}
	return nil
}
