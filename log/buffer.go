package log

const (
	blockBytes = 256 << 10
	// maxBlocks bounds what a buffer keeps between transactions, to 4 MiB.
	maxBlocks = 16
)

// buffer hands out memory for the rows of one transaction, which bbolt keeps until
// the commit. It is used again for the next, so that flushes leave no garbage.
type buffer struct {
	blocks [][]byte // of blockBytes; those before at are used up
	at     int
	free   []byte // what is left of the block at
}

// take returns an empty slice of the capacity n. Of a nil buffer it is allocated.
func (b *buffer) take(n int) []byte {
	if b == nil || n > blockBytes/4 {
		return make([]byte, 0, n)
	}
	if n > len(b.free) {
		b.grow()
	}
	taken := b.free[0:0:n]
	b.free = b.free[n:]
	return taken
}

func (b *buffer) grow() {
	if b.free != nil {
		b.at++
	}
	if b.at == len(b.blocks) {
		b.blocks = append(b.blocks, make([]byte, blockBytes))
	}
	b.free = b.blocks[b.at]
}

// reset takes everything back; nobody may use it any more. Of blocks that this
// transaction did not need one is freed, so that an idle journal keeps few.
func (b *buffer) reset() {
	keep := min(max(b.at+1, len(b.blocks)-1), len(b.blocks), maxBlocks)
	clear(b.blocks[keep:])
	b.blocks, b.at, b.free = b.blocks[:keep], 0, nil
}
