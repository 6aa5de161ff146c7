package server

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/consensus/backup"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/pace"
	"github.com/edri-io/edri/store"
)

// ErrDamaged says that data is not what was written. Errors that match it name
// what is damaged.
var ErrDamaged = store.ErrCorrupt

// BackupInfo is what a backup says about itself.
type BackupInfo struct {
	Path    string         `json:"path"`
	ID      string         `json:"id"`
	Created time.Time      `json:"created"`
	Node    string         `json:"node"`
	Epoch   string         `json:"epoch"`
	Index   uint64         `json:"index,string"`
	First   event.Position `json:"first_position,string"`
	Last    event.Position `json:"last_position,string"`
	Bytes   int64          `json:"bytes"` // of the file
	// Segments of the history, and how many of them are in this file.
	Segments int `json:"segments"`
	Here     int `json:"segments_here"`
	// Since are the names of the earlier backups that hold the others.
	Since []string `json:"since,omitempty"`
}

func newBackupInfo(f *backup.File) BackupInfo {
	info := BackupInfo{
		Path: f.Path(), ID: f.ID, Created: f.Created, Node: f.Node, Epoch: f.Epoch,
		Index: f.Index, First: f.First, Last: f.Last, Bytes: f.Size(), Segments: len(f.Segments),
	}
	for i := range f.Segments {
		if f.Segments[i].Part != nil {
			info.Here++
		}
	}
	for _, a := range f.Since {
		info.Since = append(info.Since, a.Name)
	}
	return info
}

// BackupOptions say what TakeBackup does.
type BackupOptions struct {
	Path  string // of the file, which must not exist
	Since string // path of the backup that this one adds to; empty: none
	Rate  int64  // bytes read in a second; 0: as many as there are
	Stale bool   // see client.BackupOptions
	// Progress, if not nil, is told how many bytes were received, and read to check
	// them.
	Progress func(received, checked int64)
}

// ErrExists says that a file is there that would have to be replaced.
var ErrExists = errors.New("exists already")

// TakeBackup has a node of the cluster write a backup and puts it at a path, whole
// and checked, or not at all: it is written beside its name, synced, read back and
// checked, and renamed.
func TakeBackup(ctx context.Context, c *client.Client, o BackupOptions) (BackupInfo, error) {
	if _, err := os.Lstat(o.Path); !errors.Is(err, os.ErrNotExist) {
		if err == nil {
			err = ErrExists
		}
		return BackupInfo{}, fmt.Errorf("back up to %s: %w", o.Path, err)
	}
	request := client.BackupOptions{Rate: o.Rate, Stale: o.Stale}
	if o.Since != "" {
		var err error
		if request.Since, err = earlier(o.Since); err != nil {
			return BackupInfo{}, err
		}
	}
	temp := store.TempPath(o.Path)
	info, err := receiveBackup(ctx, c, request, temp, o)
	if err == nil {
		err = store.Rename(nil, temp, o.Path)
	}
	if err != nil {
		return BackupInfo{}, errors.Join(fmt.Errorf("back up to %s: %w", o.Path, err), removeFile(temp))
	}
	info.Path = o.Path
	return info, nil
}

func removeFile(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// earlier reads from a backup what it and those before it hold.
func earlier(path string) ([]client.EarlierBackup, error) {
	f, err := backup.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []client.EarlierBackup
	at := map[string]int{}
	for _, a := range append(f.Since, backup.Ancestor{ID: f.ID, Name: f.Name()}) {
		at[a.ID] = len(all)
		all = append(all, client.EarlierBackup{ID: a.ID, Name: a.Name})
	}
	for _, s := range f.Segments {
		id := s.In
		if id == "" {
			id = f.ID
		}
		digest, err := hex.DecodeString(s.Digest)
		if s.Sealed && err == nil && len(digest) == 32 {
			b := &all[at[id]]
			b.Digests = append(b.Digests, [32]byte(digest))
		}
	}
	return all, nil
}

func receiveBackup(ctx context.Context, c *client.Client, request client.BackupOptions, temp string, o BackupOptions) (BackupInfo, error) {
	file, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return BackupInfo{}, err
	}
	var received int64
	err = c.Backup(ctx, request, func() (io.Writer, error) {
		received = 0
		if err := file.Truncate(0); err != nil {
			return nil, err
		}
		_, err := file.Seek(0, io.SeekStart)
		return writerFunc(func(p []byte) (int, error) {
			n, err := file.Write(p)
			received += int64(n)
			o.report(received, 0)
			return n, err
		}), err
	})
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return BackupInfo{}, err
	}
	return VerifyBackup(ctx, temp, VerifyOptions{Rate: o.Rate, Progress: func(n int64) { o.report(received, n) }})
}

func (o *BackupOptions) report(received, checked int64) {
	if o.Progress != nil {
		o.Progress(received, checked)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// VerifyOptions say how VerifyBackup reads.
type VerifyOptions struct {
	Rate     int64            // bytes in a second; 0: as many as there are
	Progress func(read int64) // nil: nobody is told. Each byte is read twice
}

// DamageError names the parts of a backup, or the files of a data directory, that
// are damaged. It matches ErrDamaged.
type DamageError struct {
	Path  string
	Parts []Damage
}

// Damage is one damaged part.
type Damage struct {
	Part   string `json:"part"`
	Reason string `json:"reason"`
}

func (e *DamageError) Error() string {
	parts := make([]string, len(e.Parts))
	for i, d := range e.Parts {
		parts[i] = d.Part + ": " + d.Reason
	}
	return fmt.Sprintf("%s is damaged: %s", e.Path, strings.Join(parts, "; "))
}

// Is makes errors.Is(err, ErrDamaged) true.
func (e *DamageError) Is(target error) bool { return target == ErrDamaged }

// VerifyBackup reads a backup and checks all that is in it. What earlier backups
// hold is theirs to verify. Damage is a *DamageError, with the info all the same.
func VerifyBackup(ctx context.Context, path string, o VerifyOptions) (BackupInfo, error) {
	f, err := backup.Open(path)
	if err != nil {
		return BackupInfo{}, err
	}
	defer f.Close()
	// The context ends the reading; a wait that is cut short needs no telling.
	p := pace.New(ctx, o.Rate, nil)
	total := int64(0)
	damage, err := f.Verify(ctx, func(n int) {
		total += int64(n)
		if o.Progress != nil {
			o.Progress(total)
		}
		_ = p.Wait(n)
	})
	if err != nil {
		return BackupInfo{}, err
	}
	return newBackupInfo(f), damageError(path, damage)
}

func damageError(path string, damage []backup.Damage) error {
	if len(damage) == 0 {
		return nil
	}
	e := &DamageError{Path: filepath.Clean(path)}
	for _, d := range damage {
		e.Parts = append(e.Parts, Damage{d.Part, d.Err.Error()})
	}
	return e
}

// ParseRate reads a number of bytes a second, such as 64MiB; 0 is no limit.
func ParseRate(s string) (int64, error) { return parseBytes(s, 0, 1<<40) }
