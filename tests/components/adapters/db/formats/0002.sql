BEGIN TRANSACTION;
CREATE TABLE linewright_alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT linewright_alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "linewright_alembic_version" VALUES('0002');
CREATE TABLE lw_champions (
	line VARCHAR(48) NOT NULL, 
	champion INTEGER NOT NULL, 
	previous INTEGER, 
	revision INTEGER NOT NULL, 
	CONSTRAINT pk_lw_champions PRIMARY KEY (line), 
	CONSTRAINT fk_lw_champions_line_champion FOREIGN KEY(line, champion) REFERENCES lw_models (line, version), 
	CONSTRAINT fk_lw_champions_line_previous FOREIGN KEY(line, previous) REFERENCES lw_models (line, version)
);
INSERT INTO "lw_champions" VALUES('press',1,NULL,1);
CREATE TABLE lw_decisions (
	id INTEGER NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	version INTEGER NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_lw_decisions PRIMARY KEY (id), 
	CONSTRAINT fk_lw_decisions_line_version FOREIGN KEY(line, version) REFERENCES lw_models (line, version)
);
INSERT INTO "lw_decisions" VALUES(1,'press',1,'{"accept_unmeasured":false,"action":"approve","actor":"operator","line":"press","override":false,"reason":"looks right","signature":"","time":"2026-11-23T01:19:03.974163Z","version":1}');
CREATE TABLE lw_drift_checks (
	id INTEGER NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	champion INTEGER NOT NULL, 
	verdict VARCHAR(24) NOT NULL, 
	html TEXT NOT NULL, 
	created DATETIME NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_lw_drift_checks PRIMARY KEY (id), 
	CONSTRAINT fk_lw_drift_checks_line_champion FOREIGN KEY(line, champion) REFERENCES lw_models (line, version)
);
INSERT INTO "lw_drift_checks" VALUES(1,'press',1,'drift','','2026-11-23 01:19:03.985273','{"check":1,"current":"press/v2","current_samples":40,"detail":"brightness fell","false_alarm_rate":0.05,"features":[],"horizon":20,"kind":"camera or lighting","line":"press","method":"normed Wasserstein","reference":"press/v1","reference_samples":100,"verdict":"drift"}');
CREATE TABLE lw_ingests (
	id INTEGER NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	created DATETIME NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_lw_ingests PRIMARY KEY (id)
);
CREATE TABLE lw_leases (
	line VARCHAR(48) NOT NULL, 
	token INTEGER NOT NULL, 
	holder VARCHAR(255) NOT NULL, 
	boot VARCHAR(64) NOT NULL, 
	expires DOUBLE NOT NULL, 
	CONSTRAINT pk_lw_leases PRIMARY KEY (line)
);
INSERT INTO "lw_leases" VALUES('press',1,'','5c63d887-269d-4b6b-afcb-fa40455eca04',4807.631273625);
CREATE TABLE lw_ledger (
	number INTEGER NOT NULL, 
	time DATETIME NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	kind VARCHAR(48) NOT NULL, 
	actor VARCHAR(64) NOT NULL, 
	data TEXT NOT NULL, 
	previous VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_lw_ledger PRIMARY KEY (number)
);
INSERT INTO "lw_ledger" VALUES(1,'2026-11-23 01:19:03.948522','','key added','operator','{"key":"0000000000000000000000000000000000000000000000000000000000000000"}','0000000000000000000000000000000000000000000000000000000000000000','2375427c0b1d6efbe0f8f3ce17e7859a13b7edf9826568ad153cfcf6b42904bb');
INSERT INTO "lw_ledger" VALUES(2,'2026-11-23 01:19:03.955637','press','retrain begun','operator','{"dataset":1,"key":"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk","request":"","retrain":"r1","token":1}','2375427c0b1d6efbe0f8f3ce17e7859a13b7edf9826568ad153cfcf6b42904bb','4292b7362142ef54e257f96254e6bc71b69a705e83ecffc908055de02f789744');
INSERT INTO "lw_ledger" VALUES(3,'2026-11-23 01:19:03.965088','press','sealed split looked at','system','{"dataset":1,"number":1,"split":"test","subject":"r1"}','4292b7362142ef54e257f96254e6bc71b69a705e83ecffc908055de02f789744','7ad8ec5db2d57be4c879eae323cae4bf756f0e062633f9ed7913b114751e59c2');
INSERT INTO "lw_ledger" VALUES(4,'2026-11-23 01:19:03.970367','press','model registered','operator','{"dataset":1,"detector":"memory-bank","files":{"detector.json":"0000000000000000000000000000000000000000000000000000000000000000"},"mlflow_run":"run","record_sha256":"4858452cf3f1587bdc457fad2f0948b75376778c282c761a415fa24432d479fc","retrain":"r1","version":1}','7ad8ec5db2d57be4c879eae323cae4bf756f0e062633f9ed7913b114751e59c2','21ab6322f4ef33034c50550791248a53340b44cf202853e3eb749d4ce890b838');
INSERT INTO "lw_ledger" VALUES(5,'2026-11-23 01:19:03.973175','press','retrain done','operator','{"detail":{},"retrain":"r1","state":"done"}','21ab6322f4ef33034c50550791248a53340b44cf202853e3eb749d4ce890b838','3863712669869c66a61f05aed426314d831738704eebeaf61eda16e3df4d106d');
INSERT INTO "lw_ledger" VALUES(6,'2026-11-23 01:19:03.980801','press','model approved','operator','{"after":{"champion":1,"previous":null},"before":{"champion":null,"previous":null},"decision":{"accept_unmeasured":false,"action":"approve","actor":"operator","line":"press","override":false,"reason":"looks right","signature":"","time":"2026-11-23T01:19:03.974163Z","version":1}}','3863712669869c66a61f05aed426314d831738704eebeaf61eda16e3df4d106d','cb45ea77861f21f060c0051ef8199bd23c9bde5fdf55cb604de883ec674e78b5');
INSERT INTO "lw_ledger" VALUES(7,'2026-11-23 01:19:03.984259','press','samples scored','system','{"count":1,"model_version":1,"sha256":"42cbcffe2d944f628632434685db9ec48d1bc5b3e5be1d8301ce0bae454d9882"}','cb45ea77861f21f060c0051ef8199bd23c9bde5fdf55cb604de883ec674e78b5','935c619b7322c726b272a4eafd675d9c3a778c966c8a3086da986eaa232c8617');
INSERT INTO "lw_ledger" VALUES(8,'2026-11-23 01:19:03.986767','press','drift checked','system','{"champion":1,"check":1,"current":"press/v2","detail":"brightness fell","drift_check":1,"kind":"camera or lighting","reference":"press/v1","verdict":"drift"}','935c619b7322c726b272a4eafd675d9c3a778c966c8a3086da986eaa232c8617','3cbdb2ede7d89a1c67573ca9b8b9112b125f41e22974780c305a7d68b572140c');
INSERT INTO "lw_ledger" VALUES(9,'2026-11-23 01:19:03.989928','press','retrain requested','system','{"drift_check":1,"reason":"drift","request":"71cd909156cfd409"}','3cbdb2ede7d89a1c67573ca9b8b9112b125f41e22974780c305a7d68b572140c','a804e039257609fa12264b11b4c80ae15ac7227b7e0d37a2c0977786c467bd68');
CREATE TABLE lw_ledger_head (
	id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_lw_ledger_head PRIMARY KEY (id)
);
INSERT INTO "lw_ledger_head" VALUES(1,9,'a804e039257609fa12264b11b4c80ae15ac7227b7e0d37a2c0977786c467bd68');
CREATE TABLE lw_looks (
	line VARCHAR(48) NOT NULL, 
	dataset INTEGER NOT NULL, 
	split VARCHAR(16) NOT NULL, 
	subject VARCHAR(128) NOT NULL, 
	number INTEGER NOT NULL, 
	CONSTRAINT pk_lw_looks PRIMARY KEY (line, dataset, split, subject)
);
INSERT INTO "lw_looks" VALUES('press',1,'test','r1',1);
CREATE TABLE lw_models (
	line VARCHAR(48) NOT NULL, 
	version INTEGER NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	created DATETIME NOT NULL, 
	retrain VARCHAR(64) NOT NULL, 
	dataset INTEGER NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_lw_models PRIMARY KEY (line, version), 
	CONSTRAINT fk_lw_models_retrain FOREIGN KEY(retrain) REFERENCES lw_retrains (id), 
	CONSTRAINT uq_lw_models_retrain UNIQUE (retrain)
);
INSERT INTO "lw_models" VALUES('press',1,'champion','2026-11-23 01:19:03.966483','r1',1,'{"calibration":{"centre":null,"costs":{"false_alarm":1.0,"miss":1.0,"unsure":0.025},"false_alarm_rate":0.05,"guarantee":"at most 5 % on average","high":1.1,"low":0.9,"method":"split","reference":[],"rule":"conformal","samples":40,"tail":null,"threshold":1.0},"champion_evaluation":null,"code":{},"created":"2026-11-23T01:19:03.966483Z","dataset":1,"detector":"memory-bank","evaluation":{"dataset":"press/v1","looks":1,"metrics":{"false_alarm_rate":{"high":0.1,"low":0.01,"n":100,"note":"","value":0.05},"image_auroc":{"high":0.97,"low":0.92,"n":200,"note":"","value":0.95},"latency_ms":{"high":22.0,"low":19.0,"n":200,"note":"","value":20.0}},"split":"test"},"explanations":{},"files":{"detector.json":"0000000000000000000000000000000000000000000000000000000000000000"},"folder":"press/models/r1","gate":{"champion":null,"conditions":[{"detail":"","high":null,"limit":null,"low":null,"name":"non_inferior_auroc","status":"met","value":null},{"detail":"","high":null,"limit":1000.0,"low":null,"name":"latency_ms","status":"met","value":20.0}]},"line":"press","mlflow_model":"m-1","mlflow_run":"run","mlflow_version":1,"params":{"k":3,"share":0.02},"request":"","retrain":"r1","search":{"best":{"high":null,"low":null,"number":0,"params":{"k":3},"proposed_by":"default","seconds":1.5,"state":"complete","value":0.9,"why":""},"fallbacks":0,"money":0.0,"proposals":[],"stopped_by":"budget","study":"press-1","synthetic":false,"trials":[{"high":null,"low":null,"number":0,"params":{"k":3},"proposed_by":"default","seconds":1.5,"state":"complete","value":0.9,"why":""}]},"seed":7,"status":"candidate","timings":{},"trainer":"operator","version":1}');
CREATE TABLE lw_outbox (
	id INTEGER NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	decision INTEGER NOT NULL, 
	champion INTEGER, 
	previous INTEGER, 
	settled BOOLEAN NOT NULL, 
	CONSTRAINT pk_lw_outbox PRIMARY KEY (id), 
	CONSTRAINT fk_lw_outbox_decision FOREIGN KEY(decision) REFERENCES lw_decisions (id)
);
INSERT INTO "lw_outbox" VALUES(1,'press',1,1,NULL,0);
CREATE TABLE lw_requests (
	id VARCHAR(64) NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	reason TEXT NOT NULL, 
	drift_check INTEGER, 
	created DATETIME NOT NULL, 
	retrain VARCHAR(64), 
	CONSTRAINT pk_lw_requests PRIMARY KEY (id), 
	CONSTRAINT fk_lw_requests_drift_check FOREIGN KEY(drift_check) REFERENCES lw_drift_checks (id), 
	CONSTRAINT fk_lw_requests_retrain FOREIGN KEY(retrain) REFERENCES lw_retrains (id)
);
INSERT INTO "lw_requests" VALUES('71cd909156cfd409','press','drift',1,'2026-11-23 01:19:03.989136',NULL);
CREATE TABLE lw_retrains (
	id VARCHAR(64) NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	dataset INTEGER NOT NULL, 
	actor VARCHAR(64) NOT NULL, 
	config TEXT NOT NULL, 
	request VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	token INTEGER NOT NULL, 
	started DATETIME NOT NULL, 
	finished DATETIME, 
	detail TEXT NOT NULL, 
	CONSTRAINT pk_lw_retrains PRIMARY KEY (id)
);
INSERT INTO "lw_retrains" VALUES('r1','press','kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk',1,'operator','{"budget":8}','','done',1,'2026-11-23 01:19:03.954572','2026-11-23 01:19:03.972463','{}');
CREATE TABLE lw_stages (
	retrain VARCHAR(64) NOT NULL, 
	stage VARCHAR(48) NOT NULL, 
	data TEXT NOT NULL, 
	time DATETIME NOT NULL, 
	CONSTRAINT pk_lw_stages PRIMARY KEY (retrain, stage), 
	CONSTRAINT fk_lw_stages_retrain FOREIGN KEY(retrain) REFERENCES lw_retrains (id)
);
INSERT INTO "lw_stages" VALUES('r1','search','{"best":{"k":3}}','2026-11-23 01:19:03.959877');
CREATE TABLE lw_verdicts (
	id INTEGER NOT NULL, 
	verdict_id VARCHAR(64) NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	sample VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	score DOUBLE NOT NULL, 
	threshold DOUBLE NOT NULL, 
	verdict VARCHAR(8) NOT NULL, 
	uncertainty DOUBLE NOT NULL, 
	model_version INTEGER NOT NULL, 
	start INTEGER, 
	"end" INTEGER, 
	overlay TEXT NOT NULL, 
	created DATETIME NOT NULL, p_value DOUBLE, severity VARCHAR(8), 
	CONSTRAINT pk_lw_verdicts PRIMARY KEY (id), 
	CONSTRAINT fk_lw_verdicts_line_model_version FOREIGN KEY(line, model_version) REFERENCES lw_models (line, version), 
	CONSTRAINT uq_lw_verdicts_verdict_id UNIQUE (verdict_id)
);
INSERT INTO "lw_verdicts" VALUES(1,'v1','press','s','a/b.png',1.5,1.0,'NG',0.1,1,NULL,NULL,'','2026-11-23 01:19:03.982688',NULL,NULL);
CREATE INDEX ix_lw_ledger_line_number ON lw_ledger (line, number);
CREATE INDEX ix_lw_retrains_line_key ON lw_retrains (line, "key");
CREATE INDEX ix_lw_retrains_line_state ON lw_retrains (line, state);
CREATE INDEX ix_lw_models_line_status ON lw_models (line, status);
CREATE INDEX ix_lw_decisions_line_version ON lw_decisions (line, version);
CREATE INDEX ix_lw_outbox_settled_id ON lw_outbox (settled, id);
CREATE INDEX ix_lw_verdicts_line_id ON lw_verdicts (line, id);
CREATE INDEX ix_lw_verdicts_line_model_version_verdict ON lw_verdicts (line, model_version, verdict);
CREATE INDEX ix_lw_verdicts_line_sample ON lw_verdicts (line, sample);
CREATE INDEX ix_lw_ingests_line_id ON lw_ingests (line, id);
CREATE INDEX ix_lw_drift_checks_line_champion ON lw_drift_checks (line, champion);
CREATE INDEX ix_lw_requests_line ON lw_requests (line);
COMMIT;
