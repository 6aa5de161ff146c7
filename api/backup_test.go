package api

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func TestBackupStreamsWhatTheNodeWrites(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.node.backup = bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	var got bytes.Buffer
	earlier := client.EarlierBackup{ID: strings.Repeat("ab", 16), Name: "monday", Digests: [][32]byte{{1}, {2}}}
	err := f.client.Backup(t.Context(), client.BackupOptions{Since: []client.EarlierBackup{earlier}, Rate: 5},
		func() (io.Writer, error) { got.Reset(); return &got, nil })
	if err != nil || !bytes.Equal(got.Bytes(), f.node.backup) {
		t.Fatalf("got %d bytes and %v, want %d", got.Len(), err, len(f.node.backup))
	}
	r := f.node.backups[0]
	if r.Rate != 5 || len(r.Have) != 2 || r.Have[[32]byte{2}].Name != "monday" {
		t.Errorf("the node was asked for %+v", r)
	}
}

func TestBackupIsRefused(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	discard := func() (io.Writer, error) { return io.Discard, nil }
	for name, earlier := range map[string]client.EarlierBackup{
		"id":   {ID: "../x", Name: "monday"},
		"name": {ID: strings.Repeat("ab", 16)},
	} {
		err := f.client.Backup(t.Context(), client.BackupOptions{Since: []client.EarlierBackup{earlier}}, discard)
		if event.CodeOf(err) != event.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.node.backupErr = event.Errorf(event.CodeQuotaExceeded, "no room")
	if err := f.client.Backup(t.Context(), client.BackupOptions{}, discard); event.CodeOf(err) != event.CodeQuotaExceeded {
		t.Errorf("got %v", err)
	}
	if err := f.client.Backup(t.Context(), client.BackupOptions{}, func() (io.Writer, error) { return nil, io.ErrShortWrite }); err == nil {
		t.Error("no error where the file cannot be written")
	}
}
