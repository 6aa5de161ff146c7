package store

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// The layout of a bbolt v1.5 file, as far as checking it needs. Numbers have
// the byte order of the machine. A file is a row of pages; a page that needs
// more room runs on into the following ones ("overflow").
//
//	page    0 id u64 | 8 flags u16 | 10 count u16 | 12 overflow u32 | 16 elements
//	meta   16 magic u32 | 20 version u32 | 24 page size u32 | 28 flags u32
//	       32 root page u64 | 40 sequence u64 | 48 freelist page u64
//	       56 high water page u64 | 64 txid u64 | 72 FNV-1a of bytes 16..72 u64
//	branch  0 pos u32 | 4 key size u32 | 8 child page u64
//	leaf    0 flags u32 | 4 pos u32 | 8 key size u32 | 12 value size u32
//	bucket  0 root page u64 (0: the page follows inline) | 8 sequence u64
//
// pos counts from the element's own first byte; the value follows the key.
const (
	pageHeader   = 16
	metaEnd      = pageHeader + 64
	elemSize     = 16
	bucketHeader = 16

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagMeta     = 0x04
	flagFreelist = 0x10
	flagBucket   = 0x01 // of a leaf element

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	noFreelist  = ^uint64(0)

	minPageSize = 1 << 10
	maxPageSize = 1 << 16
)

var native = binary.NativeEndian

// pageID is the number of a page; its offset is pageID times the page size.
type pageID = uint64

// boltMeta is what a meta page says.
type boltMeta struct {
	root      pageID
	freelist  pageID // noFreelist: not in the file
	highWater pageID // the first page that was never used
	txid      uint64
}

// page is one page with its overflow. The zero page is no page.
type page struct {
	id  pageID // 0: inline in a bucket's row
	buf []byte
}

func (p page) flags() uint16    { return native.Uint16(p.buf[8:]) }
func (p page) count() int       { return int(native.Uint16(p.buf[10:])) }
func (p page) overflow() uint32 { return native.Uint32(p.buf[12:]) }

// rowStart is where the rows begin. They follow the elements without gaps and
// in the same order, so an element that says otherwise, or a count that was
// changed, is damage.
func (p page) rowStart() uint64 { return uint64(pageHeader + p.count()*elemSize) }

// branchElem returns key and child of element i, and where its key starts. It
// is false if any of it is outside the page.
func (p page) branchElem(i int) (key []byte, child pageID, start uint64, ok bool) {
	off := uint64(pageHeader + i*elemSize)
	if off+elemSize > uint64(len(p.buf)) {
		return nil, 0, 0, false
	}
	e := p.buf[off : off+elemSize]
	start = off + uint64(native.Uint32(e))
	end := start + uint64(native.Uint32(e[4:]))
	if end > uint64(len(p.buf)) {
		return nil, 0, 0, false
	}
	return p.buf[start:end:end], native.Uint64(e[8:]), start, true
}

// leafElem returns key, value and flags of element i, and where its key starts.
// It is false if any of it is outside the page.
func (p page) leafElem(i int) (key, value []byte, flags uint32, start uint64, ok bool) {
	off := uint64(pageHeader + i*elemSize)
	if off+elemSize > uint64(len(p.buf)) {
		return nil, nil, 0, 0, false
	}
	e := p.buf[off : off+elemSize]
	start = off + uint64(native.Uint32(e[4:]))
	mid := start + uint64(native.Uint32(e[8:]))
	end := mid + uint64(native.Uint32(e[12:]))
	if end > uint64(len(p.buf)) {
		return nil, nil, 0, 0, false
	}
	return p.buf[start:mid:mid], p.buf[mid:end:end], native.Uint32(e), start, true
}

// parseMeta reads the meta page in buf, which holds at least metaEnd bytes.
func parseMeta(buf []byte) (m boltMeta, pageSize int64, err error) {
	b := buf[pageHeader:metaEnd]
	sum := fnv.New64a()
	_, _ = sum.Write(b[:56])
	switch {
	case native.Uint32(b) != boltMagic:
		return m, 0, fmt.Errorf("magic is %#x, want %#x", native.Uint32(b), uint32(boltMagic))
	case native.Uint32(b[4:]) != boltVersion:
		return m, 0, fmt.Errorf("version is %d, want %d", native.Uint32(b[4:]), boltVersion)
	case native.Uint64(b[56:]) != sum.Sum64():
		return m, 0, fmt.Errorf("checksum is %#x, want %#x", native.Uint64(b[56:]), sum.Sum64())
	}
	pageSize = int64(native.Uint32(b[8:]))
	if pageSize < minPageSize || pageSize > maxPageSize || pageSize&(pageSize-1) != 0 {
		return m, 0, fmt.Errorf("page size is %d", pageSize)
	}
	return boltMeta{
		root:      native.Uint64(b[16:]),
		freelist:  native.Uint64(b[32:]),
		highWater: native.Uint64(b[40:]),
		txid:      native.Uint64(b[48:]),
	}, pageSize, nil
}

// boltFile reads the pages of a bbolt file without bbolt and without a map.
type boltFile struct {
	r        io.ReaderAt
	path     string
	pageSize int64
	meta     boltMeta
	wait     func(bytes int) error // before reading; nil: no waiting
}

// newBoltFile reads the meta pages of a file of size bytes.
//
// bbolt falls back to the older meta page where the newer is damaged. That is
// for torn writes; but a meta page uses the first 80 bytes of a disk sector,
// which disks write whole, so a bad one means damage. And falling back is not
// safe then: the pages of the older state may have been reused.
func newBoltFile(r io.ReaderAt, path string, size int64) (*boltFile, error) {
	f := &boltFile{r: r, path: path}
	buf := make([]byte, metaEnd)
	for i := range int64(2) {
		if i*f.pageSize+metaEnd > size {
			return nil, f.corrupt("file has %d bytes, too few for its meta pages", size)
		}
		if _, err := r.ReadAt(buf, i*f.pageSize); err != nil {
			return nil, ioError("read", path, err)
		}
		m, pageSize, err := parseMeta(buf)
		switch {
		case err != nil:
			return nil, f.corrupt("meta page %d: %v", i, err)
		case i == 1 && pageSize != f.pageSize:
			return nil, f.corrupt("meta pages say page sizes %d and %d", f.pageSize, pageSize)
		case native.Uint64(buf) != uint64(i) || native.Uint16(buf[8:]) != flagMeta:
			return nil, f.corrupt("meta page %d: bad page header", i)
		}
		f.pageSize = pageSize
		if i == 0 || m.txid > f.meta.txid {
			f.meta = m
		}
	}
	if pages := uint64(size / f.pageSize); pages < f.meta.highWater {
		return nil, f.corrupt("file has %d pages, its meta page says %d", pages, f.meta.highWater)
	}
	return f, nil
}

// read reads page id with its overflow into buf, which it may reallocate.
func (f *boltFile) read(id pageID, buf []byte) (page, error) {
	p, err := f.readPart(id, buf)
	if err != nil {
		return page{}, err
	}
	n := uint64(p.overflow())
	if n == 0 {
		return p, nil
	}
	if id+n >= f.meta.highWater {
		return page{}, f.corrupt("page %d: runs on for %d pages, beyond the end %d", id, n, f.meta.highWater)
	}
	if err := f.waited(int64(n) * f.pageSize); err != nil {
		return page{}, err
	}
	p.buf = make([]byte, (1+int64(n))*f.pageSize)
	if _, err := f.r.ReadAt(p.buf, int64(id)*f.pageSize); err != nil {
		return page{}, ioError("read", f.path, err)
	}
	return p, nil
}

// readPart reads page id without its overflow.
func (f *boltFile) readPart(id pageID, buf []byte) (page, error) {
	if id < 2 || id >= f.meta.highWater {
		return page{}, f.corrupt("page %d is referred to but pages are [2, %d)", id, f.meta.highWater)
	}
	if int64(cap(buf)) < f.pageSize {
		buf = make([]byte, f.pageSize)
	}
	buf = buf[:f.pageSize]
	if err := f.waited(f.pageSize); err != nil {
		return page{}, err
	}
	if _, err := f.r.ReadAt(buf, int64(id)*f.pageSize); err != nil {
		return page{}, ioError("read", f.path, err)
	}
	if got := native.Uint64(buf); got != id {
		return page{}, f.corrupt("page %d says that it is page %d", id, got)
	}
	return page{id: id, buf: buf}, nil
}

func (f *boltFile) corrupt(format string, args ...any) error {
	return &CorruptError{Path: f.path, Detail: fmt.Sprintf(format, args...)}
}
