// Package accept reads what clients say that they take.
package accept

import (
	"net/http"
	"strconv"
	"strings"
)

// Gzip says whether a client takes gzip: by name, or else by the asterisk, and not with a weight of 0.
func Gzip(h http.Header) bool {
	others := false
	for _, line := range h.Values("Accept-Encoding") {
		for offer := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(offer, ";")
			switch name = strings.TrimSpace(name); {
			case strings.EqualFold(name, "gzip"):
				return wanted(weight)
			case name == "*":
				others = wanted(weight)
			}
		}
	}
	return others
}

// wanted reads a weight, `q=0.5`. None is 1, and so is one that cannot be read.
func wanted(weight string) bool {
	_, q, _ := strings.Cut(weight, "=")
	v, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
	return err != nil || v > 0
}
