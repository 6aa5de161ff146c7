package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	maxHelloBytes = 64 << 10 // of an introduction
	helloTimeout  = 5 * time.Second
)

var errHelloTooLong = errors.New("introduction is too long")

// Hello introduces this node to the one at an address, which answers with what
// its Config.Hello returned. Both are one line, without its end.
func (p *Port) Hello(ctx context.Context, address string, own []byte) ([]byte, error) {
	if len(own) >= maxHelloBytes {
		return nil, fmt.Errorf("introduce this node: %w: %d bytes", errHelloTooLong, len(own))
	}
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	conn, err := p.dial(ctx, "", address, forHello)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	for _, ends := range []context.Context{ctx, p.lifetime} {
		defer context.AfterFunc(ends, func() { _ = conn.Close() })()
	}
	_, err = conn.Write(append(bytes.Clone(own), '\n'))
	var answer []byte
	if err == nil {
		answer, err = readLine(conn)
	}
	if err != nil {
		return nil, fmt.Errorf("exchange introductions with %s: %w", address, errors.Join(context.Cause(ctx), err))
	}
	return answer, nil
}

func (p *Port) answerHello(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(helloTimeout)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	from, err := readLine(conn)
	if err != nil {
		return fmt.Errorf("read introduction: %w", err)
	}
	answer, err := p.cfg.Hello(from)
	if err != nil {
		return fmt.Errorf("introduce this node: %w", err)
	}
	if len(answer) >= maxHelloBytes {
		return fmt.Errorf("introduce this node: %w: %d bytes", errHelloTooLong, len(answer))
	}
	if _, err := conn.Write(append(bytes.Clone(answer), '\n')); err != nil {
		return fmt.Errorf("write introduction: %w", err)
	}
	return nil
}

// readLine reads up to a line feed, which it leaves out.
func readLine(r io.Reader) ([]byte, error) {
	line, err := bufio.NewReaderSize(io.LimitReader(r, maxHelloBytes), maxHelloBytes).ReadSlice('\n')
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case len(line) == maxHelloBytes:
		return nil, errHelloTooLong
	}
	return nil, err
}
