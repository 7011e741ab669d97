package benchmarks

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// readGzip calls use with the content of a compressed file.
func readGzip(file string, use func(io.Reader) error) (err error) {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return use(z)
}

// tabLines returns the fields of lines between tabs.
func tabLines(file string, least int) (lines [][]string, err error) {
	err = readGzip(file, func(r io.Reader) error {
		s := bufio.NewScanner(r)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			fields := strings.Split(s.Text(), "\t")
			if len(fields) < least {
				return fmt.Errorf("%s, line %d: %d columns, want %d", file, len(lines)+1, len(fields), least)
			}
			lines = append(lines, fields)
		}
		return s.Err()
	})
	return lines, err
}

var pairHeader = []string{"sentence1", "sentence2", "score"}

// stsbLists are graded pairs of the STS benchmark (Cer et al. 2017).
func stsbLists(dir string) (lists []textList, err error) {
	for _, p := range [][2]string{{"train", "train"}, {"dev", "validation"}, {"test", "test"}} {
		lines, err := tabLines(filepath.Join(dir, "sts-"+p[0]+".csv.gz"), 7)
		if err != nil {
			return nil, err
		}
		l := textList{part: p[1], header: pairHeader}
		for _, f := range lines {
			l.rows = append(l.rows, []string{f[5], f[6], f[4]})
		}
		lists = append(lists, l)
	}
	return lists, nil
}

// pawsLists are paraphrases and other pairs of the same words (Zhang, Baldridge & He 2019, "PAWS: paraphrase adversaries from word scrambling"). The part has no
// test part: see ownTest.
func pawsLists(dir string) ([]textList, error) {
	lines, err := tabLines(filepath.Join(dir, "paws_wiki_final_dev.tsv.gz"), 4)
	if err != nil {
		return nil, err
	}
	all := textList{part: "all", header: pairHeader}
	for _, f := range lines {
		if f[3] != "0" && f[3] != "1" { // a line of names
			continue
		}
		all.rows = append(all.rows, f[1:4])
	}
	return []textList{all}, nil
}

// clincLists are intents, and texts of none (Larson et al. 2019, "An evaluation dataset for intent classification and out-of-scope prediction"). The
// validation part is the test part.
func clincLists(dir string) ([]textList, error) {
	var parts map[string][][]string
	err := readGzip(filepath.Join(dir, "clinc150_train_val.json.gz"), func(r io.Reader) error { return json.NewDecoder(r).Decode(&parts) })
	if err != nil {
		return nil, err
	}
	header := []string{"text", "intent"}
	return []textList{{"train", header, parts["train"]}, {"test", header, parts["val"]}, {"strange", header, append(parts["oos_train"], parts["oos_val"]...)}}, nil
}

// bankingLists are intents of one domain (Casanueva et al. 2020, "Efficient intent detection with dual sentence encoders").
func bankingLists(dir string) (lists []textList, err error) {
	for _, part := range []string{"train", "test"} {
		l := textList{part: part}
		err := readGzip(filepath.Join(dir, part+".csv.gz"), func(r io.Reader) error {
			rows, err := csv.NewReader(r).ReadAll()
			if err == nil && len(rows) > 0 {
				l.header, l.rows = rows[0], rows[1:]
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		lists = append(lists, l)
	}
	return lists, nil
}
