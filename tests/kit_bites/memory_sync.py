"""How tables in the sink in memory are kept in step."""

from __future__ import annotations

import json
from datetime import datetime

from mixpanel_fetch.model import LoadReport
from mixpanel_fetch.sync import SyncState


class InStepLoad:
    """What makes a MemoryLoad a SyncLoad."""

    def count_gone(self):
        if self.run.public:
            return 0, 0
        return len(self.absent()), len(self.live())

    def commit_in_step(self, *, complete):
        rows = self.unique(self.staged())
        whole, order = self.is_whole(complete), self.run.info.sync
        gone = self.gone(whole, order)
        if order.history:
            self.take_in(rows, gone)
        held = {row[0]: row for row in self.store.tables.get(self.table, ())}
        updated = [row for row in rows if row[0] in held and self.differs(held[row[0]], row)]
        inserted = [row for row in rows if row[0] not in held]
        for row in [*inserted, *updated]:
            held[row[0]] = row
            self.revive(row[0])
        self.store.tables[self.table] = list(held.values())
        self.take_out(gone, order.delete)
        self.remember(rows, whole)
        report = self.in_step(inserted, updated, rows, gone)
        self.finish(report)
        return report

    def is_whole(self, complete):
        return complete and not self.run.public

    def gone(self, whole, order):
        return self.absent() if whole and order.kind == "full" and order.delete != "ignore" else []

    def in_step(self, inserted, updated, rows, gone):
        return LoadReport(
            total_rows=len(rows),
            inserted=len(inserted),
            updated=len(updated),
            duplicate_rows=self.count_duplicates(),
            unchanged=len(rows) - len(inserted) - len(updated),
            gone=len(gone),
        )

    def live(self):
        marks = self.store.marks.get(self.table, {})
        return [row[0] for row in self.store.tables.get(self.table, ()) if row[0] not in marks]

    def absent(self):
        came = {row[0] for row in self.staged()}
        return [one for one in self.live() if one not in came]

    def differs(self, held, row):
        marked = row[0] in self.store.marks.get(self.table, {})
        return marked or self.content(held) != self.content(row) or held[2] != row[2]

    def content(self, row):
        return json.dumps(json.loads(row[1]), sort_keys=True)

    def revive(self, distinct_id):
        self.store.marks.get(self.table, {}).pop(distinct_id, None)

    def take_out(self, gone, delete):
        if delete == "hard":
            rows = self.store.tables[self.table]
            self.store.tables[self.table] = [row for row in rows if row[0] not in gone]
        elif delete == "mark":
            marks = self.store.marks.setdefault(self.table, {})
            marks.update(dict.fromkeys(gone, self.run.info.started_at))

    def remember(self, rows, whole):
        order = self.run.info.sync
        state = self.store.states.get(self.table) or SyncState(order.key)
        self.store.states[self.table] = self.after(state, rows) if whole else state

    def after(self, state, rows):
        return state.after(self.run.info.sync, self.newest(rows), self.run.info.started_at)

    def newest(self, rows) -> datetime | None:
        return max((row[2] for row in rows if row[2] is not None), default=None)

    # Versions

    def take_in(self, rows, gone):
        versions = self.store.versions.setdefault(self.table, [])
        current = {one["distinct_id"]: one for one in versions if one["valid_to"] is None}
        for row in rows:
            held = current.get(row[0])
            if held is not None and not self.is_another(held["row"], row):
                continue
            if held is not None:
                self.end(held)
            versions.append(self.version(row))
        for one in gone:
            if one in current:
                self.end(current[one])

    def is_another(self, held, row):
        return self.content(held) != self.content(row)

    def version(self, row):
        began = self.run.info.started_at
        return {"distinct_id": row[0], "row": row, "valid_from": began, "valid_to": None}

    def end(self, version):
        version["valid_to"] = self.run.info.started_at


class InStepEngine:
    """What makes an engine with a ``store`` a SyncEngine."""

    def sync_state(self, table):
        return self.store.states.get(table)
