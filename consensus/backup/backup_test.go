package backup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/store"
)

// data is a small state file and journal.
type data struct {
	state    []byte
	segments []Segment
	files    [][]byte
	mark     log.Mark
}

const segmentBytes = 20_000

func makeData(t testing.TB) *data {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := store.Open(filepath.Join(dir, "state.db"), store.Config{Tables: []string{"meta"}, InitialMmap: 1 << 20})
	must(err)
	db.Begin().Put(db.Table("meta"), []byte("key"), []byte("value"))
	db.Publish()
	must(db.Flush(db.Freeze()))
	d := &data{}
	var state bytes.Buffer
	_, err = db.Copy(&state)
	must(err)
	must(db.Close())
	d.state = state.Bytes()

	j, err := log.Open(filepath.Join(dir, "journal"), log.Mark{}, log.Config{SegmentBytes: segmentBytes})
	must(err)
	for range 200 {
		p := d.mark.Last + 1
		e := event.Event{ID: fmt.Sprint(p), Source: "/s", Type: "t", Data: bytes.Repeat([]byte("data"), 50)}
		r := log.Record{Position: p, Revision: event.Revision(p), Stamp: int64(p), Stream: "s", Event: event.AppendEvent(nil, &e)}
		d.mark.Add(&r, segmentBytes)
		j.Append([]log.Record{r}, d.mark)
	}
	must(j.Flush(d.mark.Last))
	infos, err := j.Settle()
	must(err)
	for _, info := range infos {
		s := Segment{First: info.First, Last: info.Last, Bytes: info.Bytes, Sealed: info.Sealed}
		if info.Sealed {
			s.Digest = fmt.Sprintf("%x", info.Digest)
		}
		var b bytes.Buffer
		_, err := j.CopySegment(info.First, &b)
		must(err)
		d.segments, d.files = append(d.segments, s), append(d.files, b.Bytes())
	}
	must(j.Close())
	if len(d.segments) < 3 {
		t.Fatalf("only %d segments", len(d.segments))
	}
	return d
}

// write makes a backup of the data; segments that have says are in earlier ones.
func (d *data) write(t testing.TB, id string, have map[event.Position]Ancestor) []byte {
	t.Helper()
	head := Head{
		ID: id, Created: time.Unix(1, 0).UTC(), Node: "n1.x", Epoch: strings.Repeat("01", 16),
		Index: 7, Term: 2, First: d.mark.First, Last: d.mark.Last,
	}
	for _, a := range have {
		if !head.names(a.ID) {
			head.Since = append(head.Since, a)
		}
	}
	var out bytes.Buffer
	w, err := NewWriter(&out, head)
	if err == nil {
		err = w.State(bytes.NewReader(d.state))
	}
	for i, s := range d.segments {
		if err != nil {
			break
		}
		if a, ok := have[s.First]; ok {
			s.In = a.ID
			err = w.Segment(s, nil)
		} else {
			err = w.Segment(s, bytes.NewReader(d.files[i]))
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func put(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func ancestor(n byte, name string) Ancestor {
	return Ancestor{ID: strings.Repeat(fmt.Sprintf("%02x", n), 16), Name: name}
}

func TestBackupIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	d := makeData(t)
	f, err := Open(put(t, "a", d.write(t, ancestor(1, "").ID, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Last != d.mark.Last || len(f.Manifest.Segments) != len(d.segments) || f.Index != 7 {
		t.Errorf("got %+v", f.Head)
	}
	read := 0
	damage, err := f.Verify(t.Context(), func(n int) { read += n })
	if err != nil || damage != nil || int64(read) < f.Size() {
		t.Errorf("verify: %v, %v, %d bytes read", damage, err, read)
	}
}

// A flip of any byte is found, and of a part's it is said which.
func TestEveryFlipIsFound(t *testing.T) {
	t.Parallel()
	d := makeData(t)
	whole := d.write(t, ancestor(1, "").ID, nil)
	path := put(t, "a", whole)
	step := len(whole)/150 + 1
	for at := 0; at < len(whole); at += step {
		flip(t, path, int64(at), whole[at]^0x04)
		f, err := Open(path)
		var damage []Damage
		if err == nil {
			damage, err = f.Verify(t.Context(), nil)
			if err == nil && len(damage) == 0 {
				t.Fatalf("flip at %d of %d was not found", at, len(whole))
			}
			if at >= len(magic) && at < len(magic)+len(d.state) && damage[0].Part != StatePart {
				t.Errorf("flip at %d of the state: %v", at, damage)
			}
			_ = f.Close()
		}
		if err != nil && !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, ErrNotBackup) && !errors.Is(err, store.ErrFormat) {
			t.Errorf("flip at %d: %v", at, err)
		}
		flip(t, path, int64(at), whole[at])
	}
}

func flip(t *testing.T, path string, at int64, to byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		_, err = f.WriteAt([]byte{to}, at)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// What was damaged before it was backed up has a right SHA-256.
func TestBackupOfDamagedFilesDoesNotPass(t *testing.T) {
	t.Parallel()
	for _, part := range []string{StatePart, "journal"} {
		d := makeData(t)
		target := d.state
		if part == "journal" {
			target = d.files[1]
		}
		for i := range target { // each copy: bbolt may have left one in a free page
			if bytes.HasPrefix(target[i:], []byte("value")) || bytes.HasPrefix(target[i:], []byte("datadata")) {
				target[i] ^= 1
			}
		}
		f, err := Open(put(t, "a", d.write(t, ancestor(1, "").ID, nil)))
		if err != nil {
			t.Fatal(err)
		}
		damage, err := f.Verify(t.Context(), nil)
		if err != nil || len(damage) != 1 || !strings.HasPrefix(damage[0].Part, part) {
			t.Errorf("%s: %v, %v", part, damage, err)
		}
		_ = f.Close()
	}
}

func TestCutFileIsNotABackup(t *testing.T) {
	t.Parallel()
	whole := makeData(t).write(t, ancestor(1, "").ID, nil)
	for _, n := range []int{0, 7, 60, len(whole) / 2, len(whole) - 1} {
		if _, err := parse(bytes.NewReader(whole[:n]), int64(n)); !errors.Is(err, ErrNotBackup) {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	newer := bytes.Clone(whole)
	newer[7] = 2
	if _, err := parse(bytes.NewReader(newer), int64(len(newer))); !errors.Is(err, store.ErrFormat) {
		t.Errorf("newer version: %v", err)
	}
}

// FuzzParse: whatever a file says, it is refused or every part lies within it, and
// no more is read into memory than it has bytes.
func FuzzParse(f *testing.F) {
	d := makeData(f)
	d.state = []byte("state") // so that what is mutated is the rest
	for i := range d.files {
		d.files[i] = []byte("segment")
	}
	f.Add(d.write(f, ancestor(1, "").ID, map[event.Position]Ancestor{1: ancestor(2, "b")}))
	f.Add(d.write(f, ancestor(1, "").ID, nil))
	f.Add([]byte(magic + trailer))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := parse(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		end := int64(len(magic)) + file.State.Size
		for i, s := range file.Manifest.Segments {
			if s.Part == nil {
				continue
			}
			if file.at[i] != end {
				t.Fatalf("part %d begins at %d, the one before ends at %d", i, file.at[i], end)
			}
			end += s.Part.Size
		}
		if end > int64(len(b)) {
			t.Fatalf("parts end at %d in a file of %d bytes", end, len(b))
		}
		file.path = "fuzz"
		if _, err := file.Verify(t.Context(), nil); err != nil {
			t.Fatalf("verify: %v", err)
		}
		c := &Chain{File: file, earlier: map[string]*File{}}
		if c.complete() != nil {
			return
		}
		dir := t.TempDir()
		_ = c.Extract(t.Context(), nil, filepath.Join(dir, "data"), nil)
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Fatalf("extraction wrote outside: %v, %v", entries, err)
		}
	})
}
