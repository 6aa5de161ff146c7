package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// campaign returns how often to try: few times in a normal run, all under
// EDRI_SOAK.
func campaign(few, all int) int {
	if os.Getenv("EDRI_SOAK") != "" {
		return all
	}
	return few
}

// writeDamageable makes a database file with branch, overflow and free pages and
// returns what is in it. It is small, so that many places can be tried.
func writeDamageable(t *testing.T) (path string, want tables) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "state.db")
	db := openAt(t, path, nil)
	want = newTables()
	rnd := rand.New(rand.NewPCG(7, 7))
	for range 6 {
		for range 250 {
			table := Table(rnd.IntN(2)) // the third stays small, and so inline
			key := fmt.Sprintf("key-%d", rnd.IntN(900))
			if rnd.IntN(3) == 0 {
				delete(want[table], key)
				db.Begin().Delete(table, []byte(key))
				continue
			}
			value := strings.Repeat(key, rnd.IntN(20))
			if rnd.IntN(60) == 0 {
				value = strings.Repeat(key, 2000)
			}
			want[table][key] = value
			db.Begin().Put(table, []byte(key), []byte(value))
		}
		want[2]["k"] = "v"
		db.Begin().Put(2, []byte("k"), []byte("v"))
		flush(t, db)
	}
	closeTest(t, db)
	return path, want
}

// outcome is what reading a damaged file came to.
type outcome struct {
	refused bool // by Open
	noticed int  // reads that returned ErrCorrupt
}

// readAll opens the file and reads all rows one by one and by scanning. A
// wrong value, a row that never was or is said not to be, or another error than
// ErrCorrupt fails the test.
func readAll(t *testing.T, what, path string, want tables) (o outcome) {
	t.Helper()
	db, err := Open(path, testConfig(nil))
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: open: got %v, want ErrCorrupt", what, err)
		}
		return outcome{refused: true}
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Errorf("%s: close: %v", what, err)
		}
	}()
	return readOpen(t, what, db, want)
}

func readOpen(t *testing.T, what string, db *DB, want tables) (o outcome) {
	t.Helper()
	notice := func(err error) {
		if o.noticed++; !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", what, err)
		}
	}
	v := db.View()
	defer v.Close()
	for table := range want {
		for key, value := range want[table] {
			got, err := v.Get(Table(table), []byte(key))
			switch {
			case err != nil:
				notice(err)
			case got == nil:
				t.Errorf("%s: get %q: got no row, want %.40q", what, key, value)
			case string(got) != value:
				t.Errorf("%s: get %q: got %.40q, want %.40q", what, key, got, value)
			}
		}
		for _, reverse := range []bool{false, true} {
			rows, err := scanAll(v.Scan(Table(table), nil, nil, reverse))
			if err != nil {
				notice(err)
			} else if len(rows) != len(want[table]) {
				t.Errorf("%s: scan: got %d rows, want %d", what, len(rows), len(want[table]))
			}
			for _, r := range rows {
				if value, ok := want[table][r[0]]; !ok || value != r[1] {
					t.Errorf("%s: scan: got %.40q = %.40q, want %.40q", what, r[0], r[1], value)
				}
			}
		}
	}
	return o
}

// flip changes bits of one byte in place and returns how to undo it.
func flip(t *testing.T, path string, offset int64, mask byte) (undo func()) {
	t.Helper()
	change := func() {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		var b [1]byte
		_, err = f.ReadAt(b[:], offset)
		b[0] ^= mask
		if _, writeErr := f.WriteAt(b[:], offset); err != nil || writeErr != nil {
			t.Fatal(err, writeErr)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	change()
	return change
}

// places returns offsets to damage: all of the first bytes of each page, where
// its header and elements are, and some of the rest.
func places(size, pageSize int64, each int) (offsets []int64) {
	rnd := rand.New(rand.NewPCG(3, 3))
	for page := int64(0); page < size; page += pageSize {
		for i := range int64(80) {
			offsets = append(offsets, page+i)
		}
		for range each {
			offsets = append(offsets, page+rnd.Int64N(pageSize))
		}
	}
	return offsets
}

func TestFlippedBitIsNoticedOrWithoutEffect(t *testing.T) {
	t.Parallel()
	path, want := writeDamageable(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if o := readAll(t, "undamaged", path, want); o != (outcome{}) {
		t.Fatalf("undamaged: got %+v", o)
	}
	pageSize := int64(os.Getpagesize())
	highWater := usedSize(t, path)
	inUse := usedBytes(t, path)
	var refused, noticed, harmless int
	rnd := rand.New(rand.NewPCG(5, 5))
	offsets := places(min(info.Size(), highWater), pageSize, 40)
	stride := campaign(len(offsets)/2500, 1)
	for i := rnd.IntN(stride); i < len(offsets); i += stride {
		offset := offsets[i]
		mask := byte(1) << rnd.IntN(8)
		what := fmt.Sprintf("page %d offset %d mask %#x", offset/pageSize, offset%pageSize, mask)
		undo := flip(t, path, offset, mask)
		o := readAll(t, what, path, want)
		switch {
		case o.refused:
			refused++
		case o.noticed > 0:
			noticed++
		default:
			harmless++
		}
		if inUse(offset) {
			if err := CheckFile(context.Background(), path); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: check: got %v, want ErrCorrupt", what, err)
			}
		}
		undo()
		if t.Failed() {
			return
		}
	}
	t.Logf("flips refused at open %d, noticed in reading %d, without effect %d", refused, noticed, harmless)
	if refused == 0 || noticed == 0 {
		t.Errorf("refused %d, noticed %d: the damage did not reach both", refused, noticed)
	}
}

// usedSize is the part of the file that its meta page counts.
func usedSize(t *testing.T, path string) (size int64) {
	t.Helper()
	err := withBoltFile(path, func(f *boltFile) error {
		size = int64(f.meta.highWater) * f.pageSize
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// TestGarbageIsNoticedOrWithoutEffect overwrites whole stretches, also with
// what other parts of the file have, as a misdirected write does.
func TestGarbageIsNoticedOrWithoutEffect(t *testing.T) {
	t.Parallel()
	path, want := writeDamageable(t)
	sound := readFile(t, path)
	used := usedSize(t, path)
	rnd := rand.New(rand.NewPCG(9, 9))
	pageSize := int64(os.Getpagesize())
	for i := range campaign(60, 5000) {
		b := append([]byte(nil), sound...)
		var what string
		switch i % 3 {
		case 0: // noise
			from, n := rnd.Int64N(used), 1+rnd.Int64N(600)
			for j := from; j < min(from+n, used); j++ {
				b[j] = byte(rnd.Uint32())
			}
			what = fmt.Sprintf("noise [%d, %d)", from, from+n)
		case 1: // zeros
			from, n := rnd.Int64N(used), 1+rnd.Int64N(2*pageSize)
			clear(b[from:min(from+n, used)])
			what = fmt.Sprintf("zeros [%d, %d)", from, from+n)
		case 2: // another page
			from, to := rnd.Int64N(used/pageSize), rnd.Int64N(used/pageSize)
			copy(b[to*pageSize:(to+1)*pageSize], sound[from*pageSize:])
			what = fmt.Sprintf("page %d at the place of page %d", from, to)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		readAll(t, what, path, want)
		if t.Failed() {
			return
		}
	}
}

func TestTruncatedFileIsRefused(t *testing.T) {
	t.Parallel()
	path, want := writeDamageable(t)
	sound, used := readFile(t, path), usedSize(t, path)
	sizes := []int64{0, 1, 80, 4096, 8191, 8192, used - 1, used - 4096}
	rnd := rand.New(rand.NewPCG(2, 2))
	for range 100 {
		sizes = append(sizes, rnd.Int64N(used))
	}
	for _, size := range sizes {
		if err := os.WriteFile(path, sound[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if o := readAll(t, fmt.Sprintf("%d of %d bytes", size, used), path, want); !o.refused {
			t.Errorf("%d of %d bytes: was opened", size, used)
		}
	}
	if err := os.WriteFile(path, sound[:used], 0o600); err != nil {
		t.Fatal(err)
	}
	if o := readAll(t, "cut to what is used", path, want); o != (outcome{}) {
		t.Errorf("cut to what is used: got %+v", o)
	}
}

// TestDamageUnderAnOpenDatabase changes pages that are mapped, after the check
// at open.
func TestDamageUnderAnOpenDatabase(t *testing.T) {
	t.Parallel()
	path, want := writeDamageable(t)
	pages := pagesInUse(t, path)
	db := openAt(t, path, nil)
	pageSize := int64(os.Getpagesize())
	rnd := rand.New(rand.NewPCG(4, 4))
	noticed := 0
	for range campaign(500, 20000) {
		page := pages[rnd.IntN(len(pages))]
		in := rnd.Int64N(pageSize)
		if rnd.IntN(2) == 0 {
			in = rnd.Int64N(80)
		}
		mask := byte(1) << rnd.IntN(8)
		undo := flip(t, path, page*pageSize+in, mask)
		what := fmt.Sprintf("page %d offset %d mask %#x", page, in, mask)
		o := readOpen(t, what, db, want)
		undo()
		noticed += min(o.noticed, 1)
		if t.Failed() {
			return
		}
	}
	if noticed < 50 {
		t.Errorf("damage was noticed %d times, want more", noticed)
	}
}

// pagesInUse returns the numbers of all pages that are not free.
func pagesInUse(t *testing.T, path string) (ids []int64) {
	t.Helper()
	err := withBoltFile(path, func(f *boltFile) error {
		w := &walker{boltFile: f, ctx: context.Background(), known: make([]byte, f.meta.highWater)}
		if err := w.freelist(); err != nil {
			return err
		}
		for id := 2; id < len(w.known); id++ {
			if w.known[id] == pageUnknown {
				ids = append(ids, int64(id))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// pageOf returns the first page of a file.
func pageOf(t *testing.T, path string, id int64) (p page) {
	t.Helper()
	err := withBoltFile(path, func(f *boltFile) (err error) {
		if p, err = f.readPart(pageID(id), nil); err != nil {
			p = page{buf: make([]byte, f.pageSize)} // the overflow of another
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestFileCutUnderAnOpenDatabase makes the kernel fault reads of the map.
func TestFileCutUnderAnOpenDatabase(t *testing.T) {
	t.Parallel()
	path, want := writeDamageable(t)
	db, err := Open(path, testConfig(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 5*int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	if o := readOpen(t, "cut", db, want); o.noticed == 0 {
		t.Errorf("got %+v, want damage noticed", o)
	}
	if err := db.Check(context.Background()); !errors.Is(err, ErrCorrupt) {
		t.Errorf("check: got %v, want ErrCorrupt", err)
	}
	a := db.Table("alpha")
	for i := range 500 {
		db.Begin().Put(a, fmt.Append(nil, i), []byte("v"))
	}
	db.Publish()
	err = db.Flush(db.Freeze())
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("flush: got %v, want ErrCorrupt", err)
	}
	if _, getErr := db.Begin().Get(a, []byte("1")); !errors.Is(getErr, ErrCorrupt) {
		t.Errorf("get after the failed flush: got %v, want its error", getErr)
	}
	if err := db.Close(); err != nil { // must not hang on bbolt's locks
		t.Errorf("close: %v", err)
	}
}

func TestDamagedRowIsNamed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db := openAt(t, path, nil)
	a := db.Table("alpha")
	db.Begin().Put(a, []byte("the key"), []byte("a value to be found"))
	flush(t, db)
	closeTest(t, db)
	offset := strings.LastIndex(string(readFile(t, path)), "value to be found")
	flip(t, path, int64(offset), 1)

	db, err := Open(path, testConfig(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	_, err = db.Begin().Get(a, []byte("the key"))
	var damage *CorruptError
	if !errors.As(err, &damage) || damage.Path != path || damage.Table != "alpha" || string(damage.Key) != "the key" {
		t.Errorf("get: got %v, want it to name file, table and key", err)
	}
	if err := db.Check(context.Background()); !errors.As(err, &damage) || string(damage.Key) != "the key" {
		t.Errorf("check: got %v, want it to name the key", err)
	}
}

// TestDamagedFreelistIsRefused: bbolt would write over pages in use, and
// nothing would show it before.
func TestDamagedFreelistIsRefused(t *testing.T) {
	t.Parallel()
	path, _ := writeDamageable(t)
	var first, size int64
	err := withBoltFile(path, func(f *boltFile) error {
		p, err := f.read(f.meta.freelist, nil)
		if err == nil {
			first, size = int64(p.id)*f.pageSize, pageHeader+8*int64(p.count())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if size < pageHeader+8*10 {
		t.Fatalf("the freelist has only %d bytes", size)
	}
	for bit := range size * 8 {
		undo := flip(t, path, first+bit/8, 1<<(bit%8))
		if err := CheckBolt(path); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d bit %d: got %v, want ErrCorrupt", bit/8, bit%8, err)
		}
		undo()
	}
}

// TestChangedCountIsNoticed: a count that is lowered hides rows.
func TestChangedCountIsNoticed(t *testing.T) {
	t.Parallel()
	path, want := writeDamageable(t)
	for _, id := range pagesInUse(t, path) {
		p := pageOf(t, path, id)
		if p.flags() != flagLeaf && p.flags() != flagBranch {
			continue
		}
		for mask := 1; mask < 64; mask *= 2 {
			what := fmt.Sprintf("page %d, count %d changed by %d", id, p.count(), mask)
			undo := flip(t, path, id*int64(os.Getpagesize())+10, byte(mask))
			if err := CheckFile(context.Background(), path); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: got %v, want ErrCorrupt", what, err)
			}
			if p.count()&mask != 0 {
				if o := readAll(t, what, path, want); !o.refused && o.noticed == 0 {
					t.Errorf("%s: was not noticed", what)
				}
			}
			undo()
		}
	}
}

// TestDamagedMetaPageIsRefused, whichever it is: bbolt would fall back to the
// other one, and to a state whose pages may have been reused.
func TestDamagedMetaPageIsRefused(t *testing.T) {
	t.Parallel()
	path, _ := writeDamageable(t)
	for meta := range int64(2) {
		for i := range int64(metaEnd) {
			if i >= 10 && i < pageHeader {
				continue // count and overflow of the header are not used
			}
			undo := flip(t, path, meta*int64(os.Getpagesize())+i, 1<<(i%8))
			if err := CheckBolt(path); !errors.Is(err, ErrCorrupt) {
				t.Errorf("meta page %d byte %d: got %v, want ErrCorrupt", meta, i, err)
			}
			undo()
		}
	}
}

func TestDamagedBranchIsFoundByTheCheck(t *testing.T) {
	t.Parallel()
	path, _ := writeDamageable(t)
	inUse := usedBytes(t, path)
	for _, id := range pagesInUse(t, path) {
		if pageOf(t, path, id).flags() != flagBranch {
			continue
		}
		first := id * int64(os.Getpagesize())
		for offset := first; inUse(offset); offset += int64(campaign(3, 1)) {
			undo := flip(t, path, offset, 1<<(offset%7))
			if err := CheckFile(context.Background(), path); !errors.Is(err, ErrCorrupt) {
				t.Errorf("page %d offset %d: got %v, want ErrCorrupt", id, offset-first, err)
			}
			undo()
		}
	}
}

// TestFlushDoesNotLaunderDamage: bbolt would copy the rows that a lowered count
// still shows to a new page, and the others would be gone without a trace.
func TestFlushDoesNotLaunderDamage(t *testing.T) {
	t.Parallel()
	path, _ := writeDamageable(t)
	tried := 0
	for _, id := range pagesInUse(t, path) {
		p := pageOf(t, path, id)
		if p.flags() != flagLeaf || p.count() < 3 || bytes.Contains(p.buf, []byte(formatBucket)) {
			continue
		}
		key, _, _, _, ok := p.leafElem(0)
		if !ok || tried == 20 {
			continue
		}
		tried++
		undo := flip(t, path, id*int64(os.Getpagesize())+10, byte(p.count()^1))
		db, err := Open(path, testConfig(nil))
		if err != nil {
			t.Fatal(err)
		}
		for table := range Table(2) { // the page belongs to one of them
			db.Begin().Put(table, key, []byte("new"))
		}
		db.Publish()
		if err := db.Flush(db.Freeze()); !errors.Is(err, ErrCorrupt) {
			t.Errorf("page %d: flush: got %v, want ErrCorrupt", id, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		undo()
	}
	if tried < 5 {
		t.Errorf("got only %d pages", tried)
	}
}

// usedBytes tells of an offset whether a tree of rows uses it: the header of a
// page, its elements, or its rows.
func usedBytes(t *testing.T, path string) func(offset int64) bool {
	t.Helper()
	ends := make(map[int64]int64)
	for _, id := range pagesInUse(t, path) {
		p := pageOf(t, path, id)
		n := p.count()
		if n == 0 || bytes.Contains(p.buf, []byte(formatBucket)) { // the bucket of buckets has unused fields
			continue
		}
		switch p.flags() {
		case flagLeaf:
			if k, v, _, start, ok := p.leafElem(n - 1); ok {
				ends[id] = int64(start) + int64(len(k)+len(v))
			}
		case flagBranch:
			if k, _, start, ok := p.branchElem(n - 1); ok {
				ends[id] = int64(start) + int64(len(k))
			}
		}
	}
	pageSize := int64(os.Getpagesize())
	return func(offset int64) bool { return offset%pageSize < ends[offset/pageSize] }
}

// TestMisroutedBranchIsNoticed exchanges two children of a branch page under an
// open database. All rows are sound, and none is where it should be.
func TestMisroutedBranchIsNoticed(t *testing.T) {
	t.Parallel()
	path, want := writeDamageable(t)
	var elems [2]int64 // offsets of the child of two elements
	for _, id := range pagesInUse(t, path) {
		if p := pageOf(t, path, id); p.flags() == flagBranch && p.count() > 4 {
			for i := range elems {
				elems[i] = id*int64(os.Getpagesize()) + pageHeader + int64(i+1)*elemSize + 8
			}
		}
	}
	if elems[0] == 0 {
		t.Fatal("no branch page")
	}
	db := openAt(t, path, nil)
	b := readFile(t, path)
	exchange := func(i, j int64) {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err1 := f.WriteAt(b[j:j+8], i)
		_, err2 := f.WriteAt(b[i:i+8], j)
		if err := errors.Join(err1, err2, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	exchange(elems[0], elems[1])
	o := readOpen(t, "misrouted", db, want)
	if o.noticed < 5 {
		t.Errorf("got %+v, want more noticed", o)
	}
	exchange(elems[0], elems[0])
	exchange(elems[1], elems[1])
	if o := readOpen(t, "restored", db, want); o != (outcome{}) {
		t.Errorf("restored: got %+v", o)
	}
}
