package transport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// A frame of a forward connection, in both directions:
//
//	offset  bytes
//	     0      8  id, which the answer repeats; big-endian
//	     8      1  kind of request, 0 in an answer
//	     9      4  length of the payload; big-endian
//	    13      n  payload
const (
	frameHeaderBytes = 13
	// Above the largest commit (4 MiB) with what surrounds it, and above what
	// one submission of a client's frame can hold.
	maxFrameBytes = 64 << 20

	// A payload of this size is handed to the kernel from where it is; smaller ones
	// are gathered.
	copyBelow = 16 << 10
	// So much is written under one deadline.
	writeBatchBytes = 1 << 20
	writeTimeout    = 5 * time.Second

	readBufferBytes = 64 << 10
)

var errFrameTooLarge = errors.New("frame is too large")

type frame struct {
	id      uint64
	kind    byte
	payload []byte
}

func (f frame) size() int { return frameHeaderBytes + len(f.payload) }

func appendFrameHeader(dst []byte, f frame) []byte {
	dst = binary.BigEndian.AppendUint64(dst, f.id)
	dst = append(dst, f.kind)
	return binary.BigEndian.AppendUint32(dst, uint32(len(f.payload)))
}

// readFrame reads one frame, whose payload is its own memory. At the end between
// two frames it returns io.EOF.
func readFrame(r *bufio.Reader) (frame, error) {
	var h [frameHeaderBytes]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return frame{}, io.EOF
		}
		return frame{}, fmt.Errorf("read frame: %w", err)
	}
	f := frame{id: binary.BigEndian.Uint64(h[:]), kind: h[8]}
	size := int(binary.BigEndian.Uint32(h[9:]))
	if size > maxFrameBytes {
		return frame{}, fmt.Errorf("%w: %d bytes, at most %d", errFrameTooLarge, size, maxFrameBytes)
	}
	// A length costs its sender nothing, so memory follows the bytes that came.
	f.payload = make([]byte, 0, min(size, writeBatchBytes))
	for len(f.payload) < size {
		if len(f.payload) == cap(f.payload) {
			f.payload = append(make([]byte, 0, min(size, 2*cap(f.payload))), f.payload...)
		}
		free := f.payload[len(f.payload):cap(f.payload)]
		if _, err := io.ReadFull(r, free); err != nil {
			return frame{}, fmt.Errorf("read frame's payload: %w", err)
		}
		f.payload = f.payload[:cap(f.payload)]
	}
	return f, nil
}

// frameWriter writes frames to one connection, many in one call of the kernel.
type frameWriter struct {
	conn   net.Conn
	gather []byte // headers and small payloads of a batch
}

// write writes the frames in their order. whole is how many of them were handed over
// to the last byte: the peer cannot have got more than those.
func (w *frameWriter) write(frames []frame) (whole int, err error) {
	for whole < len(frames) {
		n, size := whole, 0
		for n < len(frames) && (n == whole || size+frames[n].size() <= writeBatchBytes) {
			size += frames[n].size()
			n++
		}
		written, err := w.writeBatch(frames[whole:n])
		if err != nil {
			for whole < n && written >= int64(frames[whole].size()) {
				written -= int64(frames[whole].size())
				whole++
			}
			return whole, fmt.Errorf("write frames: %w", err)
		}
		whole = n
	}
	return whole, nil
}

func (w *frameWriter) writeBatch(frames []frame) (int64, error) {
	need := 0
	for _, f := range frames {
		need += frameHeaderBytes
		if len(f.payload) < copyBelow {
			need += len(f.payload)
		}
	}
	if cap(w.gather) < need { // it must not move while parts of it are referred to
		w.gather = make([]byte, 0, need)
	}
	w.gather = w.gather[:0]
	var parts net.Buffers
	from := 0
	for _, f := range frames {
		w.gather = appendFrameHeader(w.gather, f)
		if len(f.payload) < copyBelow {
			w.gather = append(w.gather, f.payload...)
			continue
		}
		parts = append(parts, w.gather[from:], f.payload)
		from = len(w.gather)
	}
	if from < len(w.gather) {
		parts = append(parts, w.gather[from:])
	}
	// A large frame has time in proportion to its size.
	patience := writeTimeout * time.Duration(1+frameBytes(frames)/writeBatchBytes)
	if err := w.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return parts.WriteTo(w.conn)
}

func frameBytes(frames []frame) (n int) {
	for _, f := range frames {
		n += f.size()
	}
	return n
}
