package client

import (
	"context"
	"fmt"
	"io"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
)

// BackupOptions say how a backup is made.
type BackupOptions struct {
	// Since are earlier backups: what they hold is left out, and restoring needs
	// them too.
	Since []EarlierBackup
	// Rate is how many bytes the node reads in a second; 0: as many as it can.
	Rate int64
	// Stale takes what the node has applied, also without a leader. Else all is in
	// the backup that was acknowledged before the call.
	Stale bool
}

// EarlierBackup is a backup with the sealed segments that are in its file.
type EarlierBackup struct {
	ID      string
	Name    string // of its file, to find it again
	Digests [][32]byte
}

// Backup has a node write a backup, whose bytes go to what begin returns. When that
// node fails another is asked, from the start: begin is called once for each try
// and must then return an empty writer. The backup is whole if the error is nil.
func (c *Client) Backup(ctx context.Context, o BackupOptions, begin func() (io.Writer, error)) error {
	request := &edriv1.BackupRequest{Rate: uint64(o.Rate), Stale: o.Stale}
	for _, b := range o.Since {
		earlier := &edriv1.EarlierBackup{Id: b.ID, Name: b.Name}
		for _, d := range b.Digests {
			earlier.Digests = append(earlier.Digests, d[:])
		}
		request.Since = append(request.Since, earlier)
	}
	var failed error // of the writer: no other node helps
	err := c.ask(ctx, func(ctx context.Context, n *server) error {
		w, err := begin()
		if err != nil {
			failed = err
			return nil
		}
		failed, err = c.backupFrom(ctx, n, request, w)
		return err
	})
	if failed != nil {
		return fmt.Errorf("write backup: %w", failed)
	}
	return err
}

func (c *Client) backupFrom(ctx context.Context, n *server, request *edriv1.BackupRequest, w io.Writer) (failed, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := n.backup.CallServerStream(ctx, connect.NewRequest(request))
	if err != nil {
		return nil, err
	}
	defer func() { _ = stream.Close() }() // what is unread is not wanted
	for stream.Receive() {
		if _, err := w.Write(stream.Msg().Data); err != nil {
			return err, nil
		}
	}
	return nil, stream.Err()
}
